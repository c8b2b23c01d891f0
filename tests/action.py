#!/usr/bin/env python3
"""Runs the steps of action.yml as GitHub's runner does: the same policy must be held, one that only stands still must fail the action.

    python3 tests/action.py [WORK_DIR]

Needs bash and the network (PyYAML from PyPI, into WORK_DIR).
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def load(path, work):
    packages = work / "packages"
    if not packages.is_dir():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", packages, "pyyaml==6.0.3"], check=True)
    sys.path.insert(0, str(packages))
    import yaml
    return yaml.safe_load(path.read_text())


def run(action, given, work):
    """Exit code of the first step that failed, outputs of the action, text of the summary."""
    work.mkdir()
    missing = [name for name, i in action["inputs"].items() if i.get("required") and name not in given]
    assert not missing, missing
    inputs = {name: given.get(name, i.get("default", "")) for name, i in action["inputs"].items()}
    value = lambda text: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: str(inputs[m[1]]), str(text))
    output, summary, log = work / "output", work / "summary", work / "log"
    for file in (output, summary, log):
        file.touch()
    runner = dict(GITHUB_ACTION_PATH=str(REPOSITORY), GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary))
    code = 0
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"], "inputs reach a step by its environment only"
        environment = os.environ | runner | {name: value(text) for name, text in step.get("env", {}).items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        with log.open("a") as out:
            code = subprocess.run(command, cwd=work, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode
        if code:
            break
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return code, outputs, summary.read_text(), log.read_text()


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    action = load(REPOSITORY / "action.yml", work)
    baseline = REPOSITORY / "tests" / "baselines" / "spatial-ternary.json"
    same = run(action, dict(baseline=baseline, episodes="5"), work / "same")
    assert same[0] == 0 and same[1]["verdict"] == "held", same
    assert same[2].startswith("**held**") and "::notice title=spatial%3A held::" in same[3], same
    still = run(action, dict(baseline=baseline, episodes="5", policy="zero"), work / "still")
    assert still[0] == 1 and still[1]["verdict"] == "regressed", still
    assert still[2].startswith("**regressed**") and "::error title=spatial%3A regressed::" in still[3], still
    broken = run(action, dict(baseline=work / "nothing.json", episodes="1"), work / "broken")
    assert broken[0] == 2 and not broken[1], broken
    print("the action holds the same policy, fails for one that stands still, and refuses a baseline that is not there")


if __name__ == "__main__":
    main()
