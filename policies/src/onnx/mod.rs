//! ONNX: the network as a file of the format that most tools read ([`export_onnx`]), and ONNX Runtime as an engine
//! ([`OnnxVla`]). The library of ONNX Runtime is loaded when it is first needed; everything else works without it.

mod calibration;
mod contents;
mod engine;
mod export;
mod graph;
mod proto;
mod runtime;

pub use calibration::{ActivationRanges, calibrate_onnx};
pub use contents::{OnnxContents, OnnxFile, OnnxTensors};
pub use engine::OnnxVla;
pub use export::{MODEL_FILE, export_onnx, export_onnx_int8};
pub use runtime::{load_onnx_runtime, onnx_runtime_build};
