//! A checkpoint folder as a source: master weights are encoded tensor by tensor as they are read.

use super::{Checkpoint, TensorFile};
use crate::PolicyError;
use crate::pt::FloatType;
use crate::source::{HEAD, PROPRIO, RowFile, Rows, Source, Table};
use crate::weights::{Encoding, Weights};
use std::sync::Arc;

impl Checkpoint {
    /// The part that holds a tensor and its name there.
    fn part<'a>(&self, name: &'a str) -> (&TensorFile, &'a str) {
        if let Some(name) = name.strip_prefix(HEAD) {
            (self.head(), name)
        } else if let Some(name) = name.strip_prefix(PROPRIO) {
            (self.proprio(), name)
        } else {
            (self.model(), name)
        }
    }
}

impl Source for Checkpoint {
    fn vector(&self, name: &str, _: usize) -> Result<Vec<f32>, PolicyError> {
        let (file, name) = self.part(name);
        file.f32(name)
    }

    fn weights(
        &self,
        name: &str,
        (n, k): (usize, usize),
        encoding: Option<Encoding>,
    ) -> Result<Weights, PolicyError> {
        let (file, name) = self.part(name);
        let name = format!("{name}.weight");
        let encoding = match (encoding, file.dtype(&name)) {
            (Some(encoding), _) => encoding,
            (None, Some(FloatType::Bf16)) => Encoding::Bf16,
            (None, _) => Encoding::F32,
        };
        Ok(Weights::encode(&file.f32(&name)?, n, k, encoding))
    }

    fn table(&self, name: &str, (count, width): (usize, usize)) -> Result<Table, PolicyError> {
        let (file, name) = self.part(name);
        let (path, place) = file.place(name)?;
        Ok(Table {
            name: name.into(),
            dtype: place.dtype,
            rows: Rows::File(Arc::new(RowFile::open(path, place.range.start as u64)?)),
            count,
            width,
        })
    }
}
