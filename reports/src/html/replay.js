// The player of recorded episodes: asks the world in the worker, draws its images, and marks what changes on a timeline.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const section = byId("replay");
  section.hidden = false;
  byId("replay-link").hidden = false;
  const say = (text, kind = "") => {
    const status = byId("replay-status");
    status.textContent = text;
    status.className = "replay-status " + kind;
  };

  const RATE = 20;
  let worker, questions = new Map(), number = 0, loading;
  const ask = (name, args) => new Promise((resolve, reject) => {
    questions.set(++number, { resolve, reject });
    worker.postMessage({ id: number, name, args });
  });
  const onmessage = ({ data }) => {
    if (data.event) return events[data.event](data);
    const { resolve, reject } = questions.get(data.id);
    questions.delete(data.id);
    if (data.error === undefined) resolve(data.result); else reject(new Error(data.error));
  };
  let record;
  const load = () => loading ??= (async () => {
    say("Loading the world …");
    record = JSON.parse(byId("replay-record").textContent);
    const script = new Blob([byId("replay-worker").textContent], { type: "text/javascript" });
    worker = new Worker(URL.createObjectURL(script));
    worker.onmessage = onmessage;
    worker.onerror = (event) => say("The worker ended: " + event.message, "bad");
    await ask("load", { module: byId("replay-module").textContent.trim(), files: record.files, worldVersion: record.world_version });
  })();

  // The episode that is open.
  let open = null, step = 0, playing = null, busy = false, wanted = null;
  const canvas = byId("replay-free");
  const orbit = { yaw: 0.55, pitch: 0.62, distance: 1.45, target: [0, 0, 0.95] };
  const paint = (target, bytes, width, height) => {
    target.width = width; target.height = height;
    target.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, 4 * width * height), width, height), 0, 0);
  };
  const showFree = ({ image, moment }) => {
    paint(canvas, image, 512, 384);
    if (!byId("replay-contacts").checked) return;
    const pen = canvas.getContext("2d");
    for (const [x, y, force] of moment.contacts) {
      pen.beginPath();
      pen.arc(512 * x, 384 * y, 2.5 + Math.min(4, Math.sqrt(force) / 2), 0, 2 * Math.PI);
      pen.fillStyle = "#ffb43ccc"; pen.fill();
      pen.lineWidth = 1; pen.strokeStyle = "#000a"; pen.stroke();
    }
  };
  const showMoment = () => {
    const { moments, queries, description, marks } = open;
    const moment = moments[step];
    byId("replay-step").textContent = `step ${step} of ${moments.length - 1}, ${(step / RATE).toFixed(2)} s`;
    byId("replay-slider").value = step;
    byId("replay-slider").setAttribute("aria-valuetext", `control step ${step}`);
    const hand = moment.hand.map((value) => value.toFixed(3)).join(", ");
    byId("replay-hand").textContent = `hand at ${hand} m, fingers ${(1000 * moment.opening).toFixed(0)} mm apart`;
    byId("replay-predicates").replaceChildren(...description.predicates.map((text, i) => {
      const item = document.createElement("li");
      item.className = moment.predicates[i] ? "s" : "f";
      item.textContent = `${moment.predicates[i] ? "holds" : "does not hold"}: ${text}`;
      return item;
    }));
    const query = queries.findLast((one) => one.step <= step);
    if (query && query !== open.shown) {
      const size = 4 * query.side * query.side;
      paint(byId("replay-table"), query.images.subarray(0, size), query.side, query.side);
      paint(byId("replay-wrist"), query.images.subarray(size), query.side, query.side);
      byId("replay-query").textContent = `What the policy saw at step ${query.step}`;
      open.shown = query;
    }
    const now = marks.filter((mark) => mark.step === step && mark.kind !== "query").map((mark) => mark.text);
    byId("replay-now").textContent = now.join("; ");
  };
  const seek = async (to) => {
    if (!open) return;
    wanted = Math.max(0, Math.min(open.moments.length - 1, to));
    if (busy) return;
    busy = true;
    try {
      while (wanted !== null) {
        const target = wanted;
        wanted = null;
        const shown = await ask("show", { step: target });
        step = target;
        showFree(shown);
        showMoment();
      }
    } catch (error) {
      say(String(error.message), "bad");
    } finally {
      busy = false;
    }
  };
  const look = async () => {
    await ask("view", { orbit });
    seek(step);
  };

  const setPlaying = (on) => {
    playing = on && open ? { from: performance.now(), step: step >= open.moments.length - 1 ? 0 : step } : null;
    byId("replay-play").textContent = playing ? "Pause" : "Play";
    if (playing) requestAnimationFrame(tick);
  };
  const tick = async (now) => {
    if (!playing) return;
    const target = playing.step + Math.floor((now - playing.from) / 1000 * RATE * Number(byId("replay-speed").value));
    if (!busy && target !== step) await seek(target);
    if (step >= open.moments.length - 1 && target >= step) setPlaying(false);
    else requestAnimationFrame(tick);
  };

  /** What changes between control steps, as on the timeline of the window. */
  const marksOf = ({ moments, queries, description, actions }) => {
    const marks = queries.map(({ step }) => ({ step, kind: "query", text: "policy query" }));
    for (let at = 1; at < moments.length; at++) {
      const [before, now] = [moments[at - 1], moments[at]];
      const add = (kind, text, more) => marks.push({ step: at, kind, text, ...more });
      for (const i of now.touched) if (!before.touched.includes(i)) add("touch", `touches ${description.instances[i]}`, { instance: i });
      for (const i of before.touched) if (!now.touched.includes(i)) add("leave", `loses contact with ${description.instances[i]}`, { instance: i });
      const closing = (step) => step > 0 && actions[7 * step - 1] > 0;
      if (closing(at) !== closing(at - 1)) add(closing(at) ? "close" : "open", `gripper commanded to ${closing(at) ? "close" : "open"}`);
      now.predicates.forEach((truth, i) => {
        if (truth !== before.predicates[i]) add(truth ? "true" : "false", `${description.predicates[i]} becomes ${truth}`);
      });
      if (now.event && !before.event) add("event", "the event of the episode happens");
    }
    const last = moments.length - 1;
    if (moments[last].success) marks.push({ step: last, kind: "success", text: "success: the goal holds" });
    else marks.push({ step: last, kind: "horizon", text: "end of the episode without success" });
    return marks.sort((a, b) => a.step - b.step);
  };
  const SIGNS = { close: "▸◂", open: "◂▸", true: "◆", false: "◆", event: "⚡", success: "★", horizon: "⚑" };
  const drawTimeline = () => {
    const { marks, moments } = open;
    const last = Math.max(1, moments.length - 1);
    const place = (step) => `${100 * step / last}%`;
    const shown = [];
    for (const [i, mark] of marks.entries()) {
      if (mark.kind === "leave") continue;
      const sign = document.createElement("i");
      sign.className = "mark " + mark.kind;
      sign.style.left = place(mark.step);
      sign.title = `step ${mark.step}: ${mark.text}`;
      if (mark.kind === "touch") {
        const end = marks.slice(i).find((other) => other.kind === "leave" && other.instance === mark.instance);
        sign.style.width = place((end ? end.step : last) - mark.step);
      }
      sign.textContent = SIGNS[mark.kind] ?? "";
      shown.push(sign);
    }
    byId("replay-marks").replaceChildren(...shown);
    const rows = marks.filter((mark) => mark.kind !== "query").map((mark) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = `step ${mark.step}: ${mark.text}`;
      button.addEventListener("click", () => { setPlaying(false); seek(mark.step); });
      item.append(button);
      return item;
    });
    byId("replay-events").replaceChildren(...rows);
  };

  const events = {
    query: ({ step, images, side }) => open.queries.push({ step, images, side }),
    repeated: ({ step, steps, image, moment }) => {
      showFree({ image, moment });
      say(`Repeating the episode: step ${step} of ${steps}`);
    },
  };
  const verdict = ({ states, kept, otherState, frames, otherFrame, same, hash }) => {
    if (otherState !== null) return say(`The states differ from the record from step ${otherState} on.`, "bad");
    if (!same) return say(`The last state has hash ${hash}, another than the recorded one.`, "bad");
    if (otherFrame !== null) return say(`The images of step ${otherFrame} are other ones than the policy saw.`, "bad");
    const seen = frames > 0 ? ` and ${frames} of ${frames} queries' images` : "";
    say(`The same bits as recorded: ${states} of ${kept} states${seen}; last state ${hash}.`, "good");
  };
  const choose = async (index) => {
    setPlaying(false);
    for (const control of section.querySelectorAll("button, select, input")) control.disabled = true;
    try {
      await load();
      const one = record.episodes[index];
      await ask("view", { orbit });
      open = null;
      const description = await ask("open", one);
      const actions = new Float64Array(Uint8Array.from(atob(one.actions), (c) => c.charCodeAt(0)).buffer);
      open = { description, actions, queries: [], marks: [], moments: [], shown: null };
      byId("replay-instruction").textContent = one.instruction ?? description.instruction;
      byId("replay-body").hidden = false;
      byId("replay-start").hidden = true;
      const result = await ask("repeat");
      open.moments = result.moments;
      open.marks = marksOf(open);
      byId("replay-slider").max = open.moments.length - 1;
      byId("replay-policy").hidden = open.queries.length === 0;
      drawTimeline();
      verdict(result);
      section.dataset.same = String(result.same && result.otherState === null && result.otherFrame === null);
      step = 0;
      await seek(0);
    } catch (error) {
      say(String(error.message), "bad");
      section.dataset.same = "error";
    } finally {
      for (const control of section.querySelectorAll("button, select, input")) control.disabled = false;
    }
  };

  const select = byId("replay-episode");
  byId("replay-start").addEventListener("click", () => choose(select.selectedIndex));
  select.addEventListener("change", () => choose(select.selectedIndex));
  for (const button of document.querySelectorAll("button.replay-this")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      select.selectedIndex = Number(button.dataset.episode);
      section.scrollIntoView();
      choose(select.selectedIndex).then(() => byId("replay-play").focus());
    });
  }
  byId("replay-play").addEventListener("click", () => setPlaying(!playing));
  byId("replay-back").addEventListener("click", () => { setPlaying(false); seek(step - 1); });
  byId("replay-on").addEventListener("click", () => { setPlaying(false); seek(step + 1); });
  byId("replay-slider").addEventListener("input", (event) => { setPlaying(false); seek(Number(event.target.value)); });
  byId("replay-contacts").addEventListener("change", () => seek(step));
  byId("replay-speed").addEventListener("change", () => { if (playing) setPlaying(true); });

  // The free camera: drag to turn, Shift and drag to move, wheel or two fingers for the distance; keys on the picture.
  const turn = (yaw, pitch) => {
    orbit.yaw += yaw;
    orbit.pitch = Math.max(-0.2, Math.min(1.5, orbit.pitch + pitch));
    if (open) look();
  };
  const move = (right, up) => {
    const [sin, cos] = [Math.sin(orbit.yaw), Math.cos(orbit.yaw)];
    orbit.target = [orbit.target[0] - sin * right, orbit.target[1] + cos * right, orbit.target[2] + up];
    if (open) look();
  };
  const zoom = (factor) => {
    orbit.distance = Math.max(0.3, Math.min(4, orbit.distance * factor));
    if (open) look();
  };
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]);
    };
    const apart = pointers.size === 2 ? spread() : 0;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 2) zoom(apart / Math.max(1, spread()));
    else if (event.shiftKey) move(-dx * orbit.distance / 500, dy * orbit.distance / 500);
    else turn(-dx / 150, dy / 150);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 800));
  }, { passive: false });
  const keys = {
    ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, 0.1), ArrowDown: () => turn(0, -0.1),
    "+": () => zoom(0.9), "=": () => zoom(0.9), "-": () => zoom(1.1),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  byId("replay-body").addEventListener("keydown", (event) => {
    if (event.key !== " " || ["BUTTON", "INPUT", "SELECT", "SUMMARY"].includes(event.target.tagName)) return;
    event.preventDefault();
    setPlaying(!playing);
  });
})();
