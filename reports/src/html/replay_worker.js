// The simulated world in a worker: answers requests {id, name, args} with {id, result} or {id, error}, and tells on its way
// {event, ...}. The module is bitvla-web, whose functions web/src/exports.rs documents.
"use strict";
let world;
let episode;
/** Free image: width, height, and the pose of its camera. */
let view = { width: 512, height: 384, orbit: null };

const KEPT_EVERY = 10;
const utf8 = new TextEncoder();
const words = new TextDecoder();
const memory = () => new Uint8Array(world.memory.buffer);
const output = () => memory().slice(world.output(), world.output() + world.output_length());
const check = (code) => {
  if (code < 0) throw new Error(words.decode(output()));
  return code;
};
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const unpack = async (base64) => {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const write = (...texts) => {
  const parts = texts.map((text) => utf8.encode(text));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  let at = world.buffer(length);
  for (const part of parts) {
    memory().set(part, at);
    at += part.length;
  }
  return [parts[0].length, length];
};
const short = (hash) => Number(BigInt.asUintN(32, hash ^ (BigInt.asUintN(64, hash) >> 32n)));
const numbers = (Kind, base64) => new Kind(bytes(base64).buffer);

const moment = () => {
  check(world.moment(view.width / view.height));
  return JSON.parse(words.decode(output()));
};
const look = () => {
  const { yaw, pitch, distance, target } = view.orbit;
  check(world.look_from(yaw, pitch, distance, ...target));
};
const freeImage = () => {
  if (view.orbit) look();
  check(world.free_image(view.width, view.height));
  return output();
};
/** The two images of a query as bytes of RGBA, one after the other. */
const policyImages = (step) => {
  check(world.policy_images(step, episode.side, episode.mirrored ? 1 : 0));
  return output();
};
const stepTo = (step) => {
  const kept = Math.min(Math.floor(step / KEPT_EVERY), episode.kept.length - 1);
  if (step < episode.step || kept * KEPT_EVERY > episode.step) {
    check(world.return_to(episode.kept[kept]));
    episode.step = kept * KEPT_EVERY;
  }
  for (; episode.step < step; episode.step++) check(world.step(...episode.actions.subarray(7 * episode.step, 7 * episode.step + 7)));
};

const requests = {
  /** Compiles the module and gives it the files of the assets. */
  async load({ module, files, worldVersion }) {
    world = (await WebAssembly.instantiate(await unpack(module), {})).instance.exports;
    if (worldVersion !== undefined && world.world_version() !== worldVersion) {
      throw new Error(`recorded in version ${worldVersion} of the world, the module has version ${world.world_version()}`);
    }
    for (const [name, text] of Object.entries(JSON.parse(words.decode(await unpack(files))))) check(world.add_file(...write(name, text)));
  },

  /** Opens an episode to be driven, or one with recorded actions to be repeated. */
  open(args) {
    check(world.open(write(JSON.stringify(args.spec))[1]));
    const description = JSON.parse(words.decode(output()));
    episode = { step: 0, kept: [], side: args.side ?? 256, mirrored: args.mirrored ?? true };
    if (args.actions !== undefined) {
      episode.actions = numbers(Float64Array, args.actions);
      episode.states = numbers(Uint32Array, args.states);
      episode.frames = numbers(Uint32Array, args.frames);
      episode.final = BigInt("0x" + args.final);
    }
    return description;
  },

  /** Acts the recorded actions once: what changes in every step, the images of every query, and what differs from the record. */
  repeat() {
    const steps = episode.actions.length / 7;
    const moments = [];
    const frames = new Map();
    for (let i = 0; i < episode.frames.length; i += 2) frames.set(episode.frames[i], episode.frames[i + 1]);
    const result = { states: 0, otherState: null, frames: 0, otherFrame: null, kept: episode.states.length };
    for (let step = 0; step <= steps; step++) {
      if (step > 0) check(world.step(...episode.actions.subarray(7 * step - 7, 7 * step)));
      if (step % KEPT_EVERY === 0) episode.kept.push(check(world.keep()));
      if (step < episode.states.length) {
        if (short(world.state_hash()) === episode.states[step]) result.states++;
        else result.otherState ??= step;
      }
      moments.push(moment());
      if (frames.has(step)) {
        const images = policyImages(step);
        if (world.frames_hash() >>> 0 === frames.get(step)) result.frames++;
        else result.otherFrame ??= step;
        postMessage({ event: "query", step, images, side: episode.side }, [images.buffer]);
      }
      if (step % 10 === 0 || step === steps) {
        const image = freeImage();
        postMessage({ event: "repeated", step, steps, image, moment: moments[step] }, [image.buffer]);
      }
    }
    episode.step = steps;
    const hash = BigInt.asUintN(64, world.state_hash());
    return { ...result, steps, moments, hash: hash.toString(16).padStart(16, "0"), same: hash === episode.final };
  },

  /** The free image and the contacts of a control step. */
  show({ step }) {
    stepTo(step);
    return { step, image: freeImage(), moment: moment() };
  },

  /** One control step by an action, then both images of the policy and the free one. */
  drive({ action, images }) {
    check(world.step(...action));
    episode.step++;
    return { step: episode.step, image: freeImage(), moment: moment(), images: images ? policyImages(episode.step) : null, hash: BigInt.asUintN(64, world.state_hash()).toString(16).padStart(16, "0") };
  },

  /** Size of the free image and pose of its camera. */
  view(args) {
    view = { ...view, ...args };
  },
};

onmessage = async ({ data: { id, name, args } }) => {
  try {
    const result = await requests[name](args ?? {});
    const buffers = [result?.image?.buffer, result?.images?.buffer].filter(Boolean);
    postMessage({ id, result }, buffers);
  } catch (error) {
    postMessage({ id, error: String(error.message ?? error) });
  }
};
