//! A checkpoint folder as a source of weights: master weights are encoded tensor by tensor as they are read.

use super::{Checkpoint, TensorFile};
use crate::PolicyError;
use crate::config::PackedScale;
use crate::float_type::FloatType;
use crate::formats::WeightEncoding;
use crate::weight_source::{
    ACTION_HEAD_PREFIX, EmbeddingTable, MatrixRequest, PROPRIO_PREFIX, RowFile, RowStorage,
    WeightSource,
};
use crate::weights::Weights;
use std::sync::Arc;

impl Checkpoint {
    /// Part that holds a tensor, and its name there.
    fn part<'a>(&self, name: &'a str) -> (&TensorFile, &'a str) {
        if let Some(name) = name.strip_prefix(ACTION_HEAD_PREFIX) {
            (self.head(), name)
        } else if let Some(name) = name.strip_prefix(PROPRIO_PREFIX) {
            (self.proprio(), name)
        } else {
            (self.model(), name)
        }
    }

    /// Packed ternary weights of a file as they are; their scale means what the config says.
    fn packed_ternary(
        &self,
        file: &TensorFile,
        name: &str,
        request: MatrixRequest<'_>,
    ) -> Result<Weights, PolicyError> {
        if request.encoding != Some(WeightEncoding::Ternary) {
            let wanted = request.encoding.map_or("as stored", WeightEncoding::name);
            let what =
                format!("packed ternary weights, wanted {wanted}: only `ternary` takes them");
            return Err(file.error(name, what));
        }
        let (codes, scale) = file.ternary(name)?;
        let absmean = match self.config().text_config.packed_scale {
            Some(PackedScale::Divide) => 1.0 / scale,
            _ => scale,
        };
        let size = (request.outputs, request.inputs);
        Weights::from_ternary(&codes, size, absmean).map_err(|what| file.error(name, what))
    }
}

impl WeightSource for Checkpoint {
    fn vector(&self, name: &str, _: usize) -> Result<Vec<f32>, PolicyError> {
        let (file, name) = self.part(name);
        file.f32(name)
    }

    fn weights(&self, request: MatrixRequest<'_>) -> Result<Weights, PolicyError> {
        let (file, name) = self.part(request.name);
        let name = format!("{name}.weight");
        let (n, k) = (request.outputs, request.inputs);
        if file.is_packed(&name) {
            return self.packed_ternary(file, &name, request);
        }
        let encoding = match (request.encoding, file.dtype(&name)) {
            (Some(encoding), _) => encoding,
            (None, Some(FloatType::Bf16)) => WeightEncoding::Bf16,
            (None, _) => WeightEncoding::F32,
        };
        Ok(Weights::encode(&file.f32(&name)?, n, k, encoding))
    }

    fn table(
        &self,
        name: &str,
        (count, width): (usize, usize),
    ) -> Result<EmbeddingTable, PolicyError> {
        let (file, name) = self.part(name);
        let (path, location) = file.location(name)?;
        Ok(EmbeddingTable {
            name: name.into(),
            dtype: location.dtype,
            rows: RowStorage::InFile(Arc::new(RowFile::open(path, location.range.start as u64)?)),
            count,
            width,
        })
    }
}
