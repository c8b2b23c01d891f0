#!/usr/bin/env python3
"""Exports LeRobot's ACT (random weights) to ONNX and has it drive the robot: `--policy onnx:FILE` with a mapping.

    python3 tests/lerobot_act.py [WORK_DIR]

Installs lerobot from PyPI into WORK_DIR/venv (7 GB; 10 minutes), exports ACT with LIBERO's inputs, writes the mapping of docs/onnx.md beside it,
compares the actions of our engine with those of torch on one observation (1e-4), and runs two episodes. Needs ORT_DYLIB_PATH or fetches ONNX
Runtime from PyPI. Run by hand: it is too large for CI. Ends with code 77 where lerobot cannot be installed.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
STATE = [-0.05, 0.01, 1.1, 3.1, 0.02, -0.03, 0.04, -0.04]

EXPORT = r'''
import sys
import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy

folder, state = sys.argv[1], [float(x) for x in sys.argv[2:]]
torch.manual_seed(3)
visual = PolicyFeature(FeatureType.VISUAL, (3, 224, 224))
config = ACTConfig(
    input_features={"observation.images.image": visual, "observation.images.image2": visual,
                    "observation.state": PolicyFeature(FeatureType.STATE, (8,))},
    output_features={"action": PolicyFeature(FeatureType.ACTION, (7,))},
    chunk_size=16, n_action_steps=8, dim_model=128, n_heads=4, dim_feedforward=256, n_encoder_layers=2, latent_dim=16,
    pretrained_backbone_weights=None, device="cpu")
policy = ACTPolicy(config).eval()

class Chunk(torch.nn.Module):
    """From normalised inputs to a chunk of normalised actions."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, state, image, image2):
        return self.model({"observation.state": state, "observation.images": [image, image2]})[0]

chunk = Chunk(policy.model).eval()
rng = np.random.default_rng(5)
frames = [rng.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(2)]
for name, frame in zip(("agentview", "wrist"), frames):
    frame.tofile(f"{folder}/{name}.rgb")
mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
image = [torch.tensor(((frame / 255.0 - mean) / std).transpose(2, 0, 1)[None], dtype=torch.float32) for frame in frames]
low, high = np.array([-0.5, -0.5, 0.8, 2.0, -1.0, -1.0, 0.0, -0.04]), np.array([0.3, 0.5, 1.4, 4.0, 1.0, 1.0, 0.04, 0.0])
normal = 2.0 * (np.array(state) - low) / (high - low) - 1.0
state = torch.tensor(normal[None], dtype=torch.float32)
torch.onnx.export(chunk, (state, *image), f"{folder}/act.onnx", opset_version=17, dynamo=False,
                  input_names=["observation.state", "observation.images.image", "observation.images.image2"], output_names=["action"])
with torch.no_grad():
    action = chunk(state, *image)[0].numpy().astype(float)
action = action * np.array([0.3, 0.4, 0.35, 0.04, 0.07, 0.08, 1.0]) + np.array([0.06, 0.09, -0.08, 0.0, 0.01, -0.01, -0.05])
np.savetxt(f"{folder}/expected.txt", action)
list_of = lambda numbers: "[" + ", ".join(str(float(x)) for x in numbers) + "]"
camera = lambda name, ours: f'[[camera]]\ninput = "observation.images.{name}"\ncamera = "{ours}"\nmean = {list_of(mean)}\nstd = {list_of(std)}\n'
open(f"{folder}/act.toml", "w").write(
    "# LeRobot's ACT with LIBERO's inputs.\nexecuted_steps = 8\nrendered = 224\norientation = \"rotated\"\n\n"
    + camera("image", "agentview") + "\n" + camera("image2", "eye_in_hand")
    + f'\n[state]\ninput = "observation.state"\n[state.normalisation]\nmin = {list_of(low)}\nmax = {list_of(high)}\n'
    + '\n[action]\noutput = "action"\n[action.normalisation]\nmean = [0.06, 0.09, -0.08, 0.0, 0.01, -0.01, -0.05]\n'
    + "std = [0.3, 0.4, 0.35, 0.04, 0.07, 0.08, 1.0]\n")
'''


def cargo(*words):
    return subprocess.run(["cargo", "run", "--quiet", "--release", *words], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    python = work / "venv/bin/python"
    if not (work / "venv/ready").exists():
        subprocess.check_call([sys.executable, "-m", "venv", work / "venv"])
        install = subprocess.run([python, "-m", "pip", "install", "-q", "lerobot", "onnx", "onnxruntime==1.32.0"])
        if install.returncode:
            print("lerobot cannot be installed here: its ACT was NOT exported")
            sys.exit(77)
        (work / "venv/ready").touch()
    if "ORT_DYLIB_PATH" not in os.environ:
        library = next((work / "venv/lib").glob("python3*/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0"))
        os.environ["ORT_DYLIB_PATH"] = str(library)
    model = work / "model"
    model.mkdir(exist_ok=True)
    state = [str(x) for x in STATE]
    subprocess.check_call([python, "-W", "ignore", "-c", EXPORT, model, *state])
    words = "pick up the bowl"
    printed = cargo("--example", "ask_onnx_policy", "--", str(model / "act.onnx"), str(model / "agentview.rgb"), str(model / "wrist.rgb"), words, *state)
    read = lambda text: [[float(x) for x in line.split()] for line in text.splitlines()]
    found, expected = read(printed), read((model / "expected.txt").read_text())
    assert len(found) == len(expected) == 16, (len(found), len(expected))
    difference = max(abs(a - b) for x, y in zip(found, expected) for a, b in zip(x, y))
    print(f"16 actions of ACT by torch and by this program: {difference:.1e} apart at most")
    assert difference < 1e-4, difference
    print(cargo("--", "--suite", "spatial", "--policy", f"onnx:{model / 'act.onnx'}", "--tasks", "0,1", "--episodes", "1", "--out", str(work / "run")))


if __name__ == "__main__":
    main()
