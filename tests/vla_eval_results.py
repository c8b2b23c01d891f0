#!/usr/bin/env python3
"""Has AllenAI's vla-evaluation-harness 0.8.0 (from PyPI) read what `bitvla-eval report --format vla-eval` writes.

    python3 tests/vla_eval_results.py [WORK_DIR]

Four parts of the harness take each file: its type `BenchmarkResult`, whose fields must all be there with their types; the printer of its
`export`, which reads such results; its collector, which is given the episodes and must compute the same result; and its recording, a
database into which the episodes are written and from which its command `vla-eval export` must make the same numbers again. (0.8.0
merges shards through that database; it has no command that merges result files.) Ends with code 77 where the package cannot be
installed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
VERSION = "0.8.0"

# Runs in the environment of the harness with the file and an empty folder.
CHECK = '''
import json, pathlib, subprocess, sys, types, typing
import vla_eval
from vla_eval.recording import RecordingStore, db_path_for_eval
from vla_eval.results.collector import BenchmarkResult, ResultCollector
from vla_eval.results.export import print_export_summary

def check(value, kind, place):
    """Compares a value with a type: typed dictionaries, lists, unions, plain types."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if typing.is_typeddict(kind):
        for name, field in typing.get_type_hints(kind, include_extras=True).items():
            optional = typing.get_origin(field) is typing.NotRequired
            assert optional or name in value, f"{place} lacks {name}"
            if name in value:
                check(value[name], typing.get_args(field)[0] if optional else field, f"{place}.{name}")
    elif origin is list:
        assert isinstance(value, list), (place, value)
        for i, item in enumerate(value):
            check(item, parts[0], f"{place}[{i}]")
    elif origin is dict:
        assert isinstance(value, dict) and all(isinstance(name, parts[0]) for name in value), (place, value)
    elif origin in (typing.Union, types.UnionType):
        assert any(isinstance(value, part) for part in parts), (place, value)
    elif kind is float:
        assert isinstance(value, (int, float)), (place, value)
    elif kind is not typing.Any:
        assert isinstance(value, kind) and not (kind is int and isinstance(value, bool)), (place, kind, value)

file, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
body = json.loads(file.read_text())
assert vla_eval.__version__ == body["harness_version"], vla_eval.__version__
check(body, BenchmarkResult, "result")
print_export_summary([body])

collector = ResultCollector(body["benchmark"], body["mode"], body["metric_keys"])
for task in body["tasks"]:
    for episode in task["episodes"]:
        collector.record(task["task"], episode)
again = collector.get_benchmark_result(body["config"])
for field in again.keys() - {"created_at"}:
    assert body[field] == again[field], (field, body[field], again[field])

store = RecordingStore(db_path_for_eval(work, "run"))
store.set_run_metadata("run", {})
names = ("benchmark", "mode", "config", "metric_keys", "harness_version")
store.upsert_eval_metadata("run", "bitvla", {name: body[name] for name in names})
for number, task in enumerate(body["tasks"]):
    for episode in task["episodes"]:
        reason = episode.get("failure_reason")
        store.upsert_episode_result(
            sid="s", eid=f"{number}-{episode['episode_id']}", eval_id="run", task_name=task["task"], episode_id=episode["episode_id"],
            status="error" if reason else "success" if episode["metrics"]["success"] else "fail", metrics=episode["metrics"],
            steps=episode["steps"], elapsed_sec=0.0, context={"task_idx": number}, jsonl_path="", failure_reason=reason,
            failure_detail=episode.get("failure_detail"))
store.close()
subprocess.run([pathlib.Path(sys.executable).with_name("vla-eval"), "export", db_path_for_eval(work, "run")], check=True, stdout=subprocess.DEVNULL)
exported = json.loads((work / "bitvla_aggregate.json").read_text())
for field in ("benchmark", "mode", "harness_version", "config", "seed", "metric_keys", "mean_success", "num_errors", "num_episodes_total"):
    assert body[field] == exported[field], (field, body[field], exported[field])
tasks = {task["task"]: task for task in exported["tasks"]}
for task in body["tasks"]:
    other = tasks.pop(task["task"])
    for field in task.keys() - {"task", "episodes"}:
        assert task[field] == other[field], (task["task"], field, task[field], other[field])
assert not tasks
'''


def install(work):
    """Python of an environment with the harness."""
    environment = work / "environment"
    python = environment / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    package = f"vla-eval=={VERSION}"
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", package], capture_output=True, text=True)
    if done.returncode:
        print(f"SKIPPED: {package} cannot be installed: {done.stderr.strip()[-200:]}")
        sys.exit(77)
    return python


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    python = install(work)
    if os.environ.get("INSTALL_ONLY"):
        return
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "bitvla-eval"], cwd=REPOSITORY, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    evaluate = lambda *words: subprocess.run([target / "release" / "bitvla-eval", *map(str, words)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Those of an earlier program would be refused.
    runs = work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    evaluate("--suite", "all", "--policy", "expert", "--tasks", "0,1", "--episodes", "3", "--out", runs / "expert")
    evaluate("--suite", "spatial", "--policy", "ternary", "--tasks", "0,6,9", "--episodes", "3", "--out", runs / "ternary")
    evaluate("report", runs / "expert", runs / "ternary", "--format", "vla-eval", "--out", runs / "results.json")
    files = sorted(runs.glob("results-*.json"))
    assert len(files) == 5, files
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([python, "-c", CHECK, file, folder], capture_output=True, text=True)
        assert done.returncode == 0, f"{file}: {done.stderr}"
        assert "Overall" in done.stdout, done.stdout
    print(f"vla-eval {VERSION} reads {len(files)} results and computes the same numbers from their episodes")


if __name__ == "__main__":
    main()
