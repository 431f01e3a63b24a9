"""The strategies of the decision table, one file each, behind one signature."""
