#!/usr/bin/env python3
"""Has the packages of others read what `bitvla-eval record` writes.

    python3 tests/datasets.py [WORK_DIR]

Records the same two episodes as a LeRobot data set and in HDF5. LeRobot's own LeRobotDataset (PyPI: lerobot; 7 GB with torch, installed into
WORK_DIR/venv) loads the first, h5py the second: both hold the same frames, states and actions, LeRobot's images decode to ours pixel by pixel,
and a batch of a DataLoader with windows of actions has the shapes that training expects. Run by hand: it is too large for CI. Ends with code 77
where the packages cannot be installed.
"""
import pathlib
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

READ = r'''
import glob
import json
import sys
import h5py
import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

folder, files = sys.argv[1:3]
data = LeRobotDataset("bitvla/recorded", root=folder, delta_timestamps={"action": [i / 20 for i in range(8)]})
assert data.num_episodes == 2 and data.fps == 20, (data.num_episodes, data.fps)
demos = []
for path in sorted(glob.glob(f"{files}/*.hdf5")):
    with h5py.File(path) as file:
        assert json.loads(file["data"].attrs["problem_info"])["language_instruction"]
        assert file["data"].attrs["num_demos"] == 1 and file["data"].attrs["total"] == len(file["data/demo_0/actions"])
        demo = file["data/demo_0"]
        demos.append({name: demo[name][()] for name in ("actions", "dones", "robot_states", "obs/ee_states", "obs/gripper_states", "obs/agentview_rgb", "obs/eye_in_hand_rgb")})
assert len(data) == sum(len(demo["actions"]) for demo in demos)
at, tasks = 0, set()
for episode, demo in enumerate(demos):
    assert demo["dones"].sum() == 1 and demo["dones"][-1] == 1
    for step in range(len(demo["actions"])):
        frame = data[at]
        tasks.add(frame["task"])
        assert frame["episode_index"] == episode and frame["frame_index"] == step and frame["index"] == at
        assert np.allclose(frame["action"][0], demo["actions"][step], atol=1e-6)
        state = np.concatenate([demo["obs/ee_states"][step], demo["obs/gripper_states"][step]])
        assert np.allclose(frame["observation.state"], state, atol=1e-6)
        for ours, theirs in (("image", "agentview_rgb"), ("image2", "eye_in_hand_rgb")):
            image = (frame[f"observation.images.{ours}"] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            # Files of LIBERO hold MuJoCo's buffers, turned by 180 degrees.
            assert np.array_equal(image, demo[f"obs/{theirs}"][step][::-1, ::-1]), (episode, step, ours)
        at += 1
assert len(tasks) == 2, tasks
batch = next(iter(torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)))
assert batch["action"].shape == (4, 8, 7) and batch["observation.images.image"].shape[:2] == (4, 3)
stats = data.meta.stats
assert np.allclose(stats["observation.state"]["mean"], np.mean([np.concatenate([d["obs/ee_states"], d["obs/gripper_states"]], 1).mean(0) * len(d["actions"]) for d in demos], 0) * 2 / at, atol=1e-6)
print(f"{len(data)} frames of {len(demos)} episodes: lerobot and h5py read the same")
'''


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    python = work / "venv/bin/python"
    if not (work / "venv/datasets-ready").exists():
        if not python.exists():
            subprocess.check_call([sys.executable, "-m", "venv", work / "venv"])
        if subprocess.run([python, "-m", "pip", "install", "-q", "lerobot", "h5py"]).returncode:
            print("lerobot cannot be installed here: the data sets were NOT read")
            sys.exit(77)
        (work / "venv/datasets-ready").touch()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("lerobot", "hdf5"):
            subprocess.check_call(["cargo", "run", "--quiet", "--release", "--", "record", "--suite", "object", "--tasks", "0,1", "--episodes", "1",
                                   "--format", kind, "--out", f"{folder}/{kind}"], cwd=REPOSITORY)
        subprocess.check_call([python, "-c", READ, f"{folder}/lerobot", f"{folder}/hdf5"])


if __name__ == "__main__":
    main()
