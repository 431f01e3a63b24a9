"""The browser app: pages and their server; TensorFlow runs in processes of its own."""
