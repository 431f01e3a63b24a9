"""What pages show that Streamlit does not have: each a little HTML, CSS and JavaScript."""
