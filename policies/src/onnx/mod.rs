//! ONNX: the network as a file of the format that most tools read ([`export_onnx`]), and ONNX Runtime as an engine
//! ([`OnnxVla`]). The library of ONNX Runtime is loaded when it is first needed; everything else works without it.

mod calibration;
mod contents;
mod engine;
mod export;
mod graph;
mod mapped;
mod mapping;
mod proto;
mod provider;
mod runtime;

pub use calibration::{ActivationRanges, calibrate_onnx};
pub use contents::{OnnxContents, OnnxDim, OnnxFile, OnnxTensors, OnnxValue};
pub use engine::OnnxVla;
pub use export::{MODEL_FILE, export_onnx, export_onnx_int8};
pub use mapped::MappedOnnxPolicy;
pub use mapping::OnnxMapping;
pub use provider::OnnxProvider;
pub use runtime::{OnnxRuntimeOptions, load_onnx_runtime, onnx_runtime_build};
