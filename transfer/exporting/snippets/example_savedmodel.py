"""Classify pictures with this SavedModel: python example.py PICTURE..."""

import json, pathlib, sys
import tensorflow as tf

folder = pathlib.Path(__file__).parent
classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
model = tf.saved_model.load(str(folder)).signatures["serving_default"]
answers = lambda files: model(image_bytes=tf.constant(files))  # of a list of bytes
for name in sys.argv[1:]:
    answer = answers([pathlib.Path(name).read_bytes()])
    for label, p in zip(classes, answer["probabilities"][0].numpy()):
        print(f"{name}  {label}: {p:.3f}")
