"""Classify pictures with this LiteRT model: python example.py PICTURE..."""

import json, pathlib, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

folder = pathlib.Path(__file__).parent
sys.path.insert(0, str(folder))
import pictures  # pictures.py in this folder: files to pixels

classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
model = Interpreter(str(folder / "model.tflite")).get_signature_runner("serving_default")


def answers(files):  # of a list of the bytes of picture files
    each = [model(images=pictures.read(data)[np.newaxis]) for data in files]
    return {name: np.concatenate([answer[name] for answer in each]) for name in each[0]}


for name in sys.argv[1:]:
    answer = answers([pathlib.Path(name).read_bytes()])
    for label, p in zip(classes, answer["probabilities"][0]):
        print(f"{name}  {label}: {p:.3f}")
