"""Classify pictures with this Keras model: python example.py PICTURE..."""

import json, pathlib, sys
import keras, numpy as np

folder = pathlib.Path(__file__).parent
sys.path.insert(0, str(folder))
import pictures  # pictures.py in this folder: files to pixels

classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
size = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))["image_size"]
model = keras.saving.load_model(folder / "model.keras")


def answers(files):  # of a list of the bytes of picture files
    # The model resizes by itself; resized before, pictures of several sizes go into one batch.
    pixels = [pictures.resize(pictures.read(data), size) for data in files]
    return model.predict_on_batch(np.stack(pixels).astype("float32"))


for name in sys.argv[1:]:
    answer = answers([pathlib.Path(name).read_bytes()])
    for label, p in zip(classes, answer["probabilities"][0]):
        print(f"{name}  {label}: {p:.3f}")
