"""Classify pictures with this ONNX model: python example.py PICTURE..."""

import json, pathlib, sys
import numpy as np, onnxruntime

folder = pathlib.Path(__file__).parent
sys.path.insert(0, str(folder))
import pictures  # pictures.py in this folder: files to pixels

classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
model = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
outputs = [output.name for output in model.get_outputs()]


def answers(files):  # of a list of the bytes of picture files
    each = [model.run(None, {"images": pictures.read(data)[np.newaxis]}) for data in files]
    return {name: np.concatenate([one[i] for one in each]) for i, name in enumerate(outputs)}


for name in sys.argv[1:]:
    answer = answers([pathlib.Path(name).read_bytes()])
    for label, p in zip(classes, answer["probabilities"][0]):
        print(f"{name}  {label}: {p:.3f}")
