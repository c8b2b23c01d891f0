//! Execution providers of ONNX Runtime: which processor, and which library for it, computes a graph.

use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider as _, CUDA, CoreML, ExecutionProvider as _,
    ExecutionProviderDispatch, OneDNN, OpenVINO, QNN, ROCm, TensorRT, WebGPU, XNNPACK,
};
use std::fmt;
use std::str::FromStr;

/// Word of the processor's own provider, which every library has.
const CPU: &str = "cpu";

/// An execution provider with options, as they are typed: `cpu`, `cuda`, `openvino:device_type=GPU,num_streams=2`. The options
/// are passed to the library as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxProvider {
    name: &'static str,
    options: Vec<(String, String)>,
}

impl Default for OnnxProvider {
    /// The processor's own.
    fn default() -> OnnxProvider {
        OnnxProvider {
            name: CPU,
            options: Vec::new(),
        }
    }
}

macro_rules! providers {
    ($($word:literal => $provider:ident,)*) => {
        impl OnnxProvider {
            /// Words of all providers that can be named.
            pub const NAMES: &[&str] = &[CPU, $($word),*];

            /// Words of those that the loaded library was built with.
            pub(super) fn available() -> Vec<&'static str> {
                let mut found = vec![CPU];
                $(if $provider::is_available().unwrap_or(false) {
                    found.push($word);
                })*
                found
            }

            /// The provider of a session; `None` for the processor's own, which needs no registration. A session that cannot
            /// have it is an error.
            pub(super) fn dispatch(&self) -> Option<ExecutionProviderDispatch> {
                match self.name {
                    $($word => {
                        let mut provider = $provider::default();
                        for (key, value) in &self.options {
                            provider = provider.with_arbitrary_config(key, value);
                        }
                        Some(provider.build().error_on_failure())
                    })*
                    _ => None,
                }
            }
        }
    };
}

providers! {
    "cuda" => CUDA,
    "tensorrt" => TensorRT,
    "openvino" => OpenVINO,
    "coreml" => CoreML,
    "rocm" => ROCm,
    "qnn" => QNN,
    "xnnpack" => XNNPACK,
    "onednn" => OneDNN,
    "webgpu" => WebGPU,
}

impl OnnxProvider {
    /// The word without the options.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for OnnxProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (i, (key, value)) in self.options.iter().enumerate() {
            let before = if i == 0 { ':' } else { ',' };
            write!(f, "{before}{key}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for OnnxProvider {
    type Err = String;

    fn from_str(text: &str) -> Result<OnnxProvider, String> {
        let (word, options) = text.split_once(':').unwrap_or((text, ""));
        let name = OnnxProvider::NAMES.iter().find(|name| **name == word);
        let name = name.ok_or_else(|| {
            let names = OnnxProvider::NAMES.join(", ");
            format!("there is no execution provider `{word}`, there are: {names}")
        })?;
        let options = options.split(',').filter(|option| !option.is_empty());
        let options = options.map(|option| match option.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("option `{option}`: expected KEY=VALUE")),
        });
        let options = options.collect::<Result<Vec<_>, _>>()?;
        if *name == CPU && !options.is_empty() {
            return Err(format!("`{CPU}` takes no options"));
        }
        Ok(OnnxProvider { name, options })
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: a provider is read and written as it is typed, with its options; what is none is refused with all names.
    use super::*;

    #[test]
    fn providers_are_read_as_typed() {
        for text in [
            "cpu",
            "cuda",
            "openvino:device_type=GPU.0,num_streams=2",
            "xnnpack:intra_op_num_threads=2",
        ] {
            let provider: OnnxProvider = text.parse().expect("a provider");
            assert_eq!(provider.to_string(), text);
            assert_eq!(provider.dispatch().is_none(), text == "cpu");
        }
        let refused = |text: &str| text.parse::<OnnxProvider>().expect_err("refused");
        assert!(refused("gpu").contains("cuda, tensorrt, openvino"));
        assert!(refused("cuda:device").contains("KEY=VALUE"));
        assert!(refused("cpu:a=b").contains("no options"));
    }
}
