"""Pictures in, a checked data set out: unpack, decode, index, split. No TensorFlow here."""
