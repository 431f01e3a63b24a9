"""The app's own HTTP routes, beside Streamlit's: uploads, downloads and thumbnails."""
