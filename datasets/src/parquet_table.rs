//! Tables of the column types that LeRobot's data sets have, as parquet files.

use crate::DatasetError;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{
    SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter,
};
use parquet::schema::types::{PrimitiveTypeBuilder, Type, TypePtr};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Values of a column, one per row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Text(Vec<String>),
    Float32List(Vec<Vec<f32>>),
    Float64List(Vec<Vec<f64>>),
    Int64List(Vec<Vec<i64>>),
    TextList(Vec<Vec<String>>),
    /// Lists of lists of lists with one number inside, as the statistics of images have them: one number per channel.
    Float64Channels(Vec<Vec<f64>>),
    /// Encoded images: a group of bytes and an (absent) path.
    Image(Vec<Vec<u8>>),
}

impl Column {
    fn rows(&self) -> usize {
        match self {
            Column::Int64(v) => v.len(),
            Column::Float32(v) => v.len(),
            Column::Text(v) => v.len(),
            Column::Float32List(v) => v.len(),
            Column::Float64List(v) | Column::Float64Channels(v) => v.len(),
            Column::Int64List(v) => v.len(),
            Column::TextList(v) => v.len(),
            Column::Image(v) => v.len(),
        }
    }

    /// Schema of the column.
    fn schema(&self, name: &str) -> parquet::errors::Result<Type> {
        let list = |name: &str, element: Type| {
            let repeated = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .with_fields(vec![Arc::new(repeated)])
                .build()
        };
        match self {
            Column::Int64(_) => leaf(name, PhysicalType::INT64).build(),
            Column::Float32(_) => leaf(name, PhysicalType::FLOAT).build(),
            Column::Text(_) => text(name).build(),
            Column::Float32List(_) => list(name, leaf("element", PhysicalType::FLOAT).build()?),
            Column::Float64List(_) => list(name, leaf("element", PhysicalType::DOUBLE).build()?),
            Column::Int64List(_) => list(name, leaf("element", PhysicalType::INT64).build()?),
            Column::TextList(_) => list(name, text("element").build()?),
            Column::Float64Channels(_) => {
                let inner = list("element", leaf("element", PhysicalType::DOUBLE).build()?)?;
                list(name, list("element", inner)?)
            }
            Column::Image(_) => {
                let path = text("path").with_repetition(Repetition::OPTIONAL);
                let fields: Vec<TypePtr> = vec![
                    Arc::new(leaf("bytes", PhysicalType::BYTE_ARRAY).build()?),
                    Arc::new(path.build()?),
                ];
                Type::group_type_builder(name)
                    .with_repetition(Repetition::REQUIRED)
                    .with_fields(fields)
                    .build()
            }
        }
    }

    /// Writes the values into the next columns of a row group.
    fn write(
        &self,
        group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    ) -> parquet::errors::Result<()> {
        match self {
            Column::Int64(v) => flat(group, |c| c.typed::<Int64Type>().write_batch(v, None, None)),
            Column::Float32(v) => {
                flat(group, |c| c.typed::<FloatType>().write_batch(v, None, None))
            }
            Column::Text(v) => {
                let v: Vec<ByteArray> = v.iter().map(|text| text.as_str().into()).collect();
                flat(group, |c| {
                    c.typed::<ByteArrayType>().write_batch(&v, None, None)
                })
            }
            Column::Float32List(v) => {
                let (values, levels) = flattened(v);
                flat(group, |c| {
                    c.typed::<FloatType>()
                        .write_batch(&values, Some(&levels.0), Some(&levels.1))
                })
            }
            Column::Float64List(v) => {
                let (values, levels) = flattened(v);
                flat(group, |c| {
                    c.typed::<DoubleType>()
                        .write_batch(&values, Some(&levels.0), Some(&levels.1))
                })
            }
            Column::Int64List(v) => {
                let (values, levels) = flattened(v);
                flat(group, |c| {
                    c.typed::<Int64Type>()
                        .write_batch(&values, Some(&levels.0), Some(&levels.1))
                })
            }
            Column::TextList(v) => {
                let (values, levels) = flattened(v);
                let values: Vec<ByteArray> =
                    values.iter().map(|text| text.as_str().into()).collect();
                flat(group, |c| {
                    c.typed::<ByteArrayType>().write_batch(
                        &values,
                        Some(&levels.0),
                        Some(&levels.1),
                    )
                })
            }
            Column::Float64Channels(v) => {
                // Only the outermost of the three lists has more than one entry.
                let (values, (definition, repetition)) = flattened(v);
                let definition: Vec<i16> = definition.iter().map(|level| 3 * level).collect();
                flat(group, |c| {
                    c.typed::<DoubleType>().write_batch(
                        &values,
                        Some(&definition),
                        Some(&repetition),
                    )
                })
            }
            Column::Image(v) => {
                let bytes: Vec<ByteArray> = v.iter().map(|bytes| bytes.clone().into()).collect();
                flat(group, |c| {
                    c.typed::<ByteArrayType>().write_batch(&bytes, None, None)
                })?;
                let absent = vec![0; v.len()];
                flat(group, |c| {
                    c.typed::<ByteArrayType>()
                        .write_batch(&[], Some(&absent), None)
                })
            }
        }
    }
}

/// A required leaf of a schema.
fn leaf(name: &str, physical: PhysicalType) -> PrimitiveTypeBuilder<'_> {
    Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED)
}

/// A required leaf of text.
fn text(name: &str) -> PrimitiveTypeBuilder<'_> {
    leaf(name, PhysicalType::BYTE_ARRAY)
        .with_logical_type(Some(LogicalType::String))
        .with_converted_type(ConvertedType::UTF8)
}

/// Writes the next column.
fn flat(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    write: impl FnOnce(&mut SerializedColumnWriter<'_>) -> parquet::errors::Result<usize>,
) -> parquet::errors::Result<()> {
    let column = group.next_column()?;
    let mut column =
        column.ok_or_else(|| parquet::errors::ParquetError::General("a column too many".into()))?;
    write(&mut column)?;
    column.close()
}

/// Values of lists one behind the other, with definition levels (0 for an empty list) and repetition levels (0 where a list begins).
fn flattened<T: Clone>(lists: &[Vec<T>]) -> (Vec<T>, (Vec<i16>, Vec<i16>)) {
    let (mut definition, mut repetition) = (Vec::new(), Vec::new());
    for list in lists {
        if list.is_empty() {
            definition.push(0);
            repetition.push(0);
        }
        for i in 0..list.len() {
            definition.push(1);
            repetition.push(i16::from(i > 0));
        }
    }
    (lists.concat(), (definition, repetition))
}

/// A file that gets its rows in groups.
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
}

impl ParquetFile {
    /// A file with the columns of a first group of rows, which is not written yet; `metadata` are pairs of key and value of the file.
    pub(crate) fn create(
        path: &Path,
        columns: &[(String, Column)],
        metadata: &[(&str, String)],
    ) -> Result<ParquetFile, DatasetError> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(DatasetError::io(dir))?;
        }
        let schema = || {
            let fields = columns
                .iter()
                .map(|(name, column)| Ok(Arc::new(column.schema(name)?)));
            let fields = fields.collect::<parquet::errors::Result<Vec<TypePtr>>>()?;
            Type::group_type_builder("schema")
                .with_fields(fields)
                .build()
        };
        let schema = schema().map_err(DatasetError::file(path))?;
        let pairs = metadata
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_created_by("bitvla-eval".to_owned())
            .set_key_value_metadata(Some(pairs.collect()))
            // Images are compressed, and nothing is said twice.
            .set_dictionary_enabled(false)
            .build();
        let file = BufWriter::new(File::create(path).map_err(DatasetError::io(path))?);
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        Ok(ParquetFile {
            path: path.to_owned(),
            writer: writer.map_err(DatasetError::file(path))?,
        })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Writes a group of rows; columns are those of the file, equally long.
    pub(crate) fn add(&mut self, columns: &[(String, Column)]) -> Result<(), DatasetError> {
        let rows = columns.first().map_or(0, |(_, column)| column.rows());
        if let Some((name, column)) = columns.iter().find(|(_, column)| column.rows() != rows) {
            let what = format!(
                "column {name}: found {} rows, expected {rows}",
                column.rows()
            );
            return Err(DatasetError::file(&self.path)(what));
        }
        let mut write = || {
            let mut group = self.writer.next_row_group()?;
            for (_, column) in columns {
                column.write(&mut group)?;
            }
            group.close().map(drop)
        };
        write().map_err(DatasetError::file(&self.path))?;
        Ok(())
    }

    /// Writes the end of the file.
    pub(crate) fn finish(self) -> Result<(), DatasetError> {
        self.writer
            .close()
            .map(drop)
            .map_err(DatasetError::file(&self.path))
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: what is written is read back by the library's own reader, row by row.
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    #[test]
    fn columns_are_read_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/table.parquet");
        let columns = |from: i64| {
            let columns = [
                ("index", Column::Int64(vec![from, from + 1])),
                ("time.s", Column::Float32(vec![0.5, 1.5])),
                ("words", Column::Text(vec!["up".into(), "down".into()])),
                (
                    "state",
                    Column::Float32List(vec![vec![1.0, 2.0], vec![3.0, 4.0]]),
                ),
                ("mean", Column::Float64List(vec![vec![], vec![0.25]])),
                ("counts", Column::Int64List(vec![vec![7], vec![8]])),
                (
                    "tasks",
                    Column::TextList(vec![vec!["a".into(), "b".into()], vec![]]),
                ),
                (
                    "channels",
                    Column::Float64Channels(vec![vec![0.1, 0.2, 0.3]; 2]),
                ),
                ("image", Column::Image(vec![vec![1, 2], vec![3]])),
            ];
            columns
                .map(|(name, column)| (name.to_owned(), column))
                .to_vec()
        };
        let mut file =
            ParquetFile::create(&path, &columns(0), &[("pandas", "{}".into())]).expect("a file");
        file.add(&columns(0)).expect("written");
        file.add(&columns(2)).expect("written");
        let mut odd = columns(4);
        odd[1].1 = Column::Float32(vec![0.5]);
        let error = file.add(&odd).expect_err("refused").to_string();
        assert!(
            error.contains("time.s") && error.contains("found 1 rows"),
            "{error}"
        );
        file.finish().expect("finished");
        let reader =
            SerializedFileReader::new(File::open(&path).expect("a file")).expect("a table");
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .expect("rows")
            .map(|row| row.expect("a row").to_string())
            .collect();
        assert_eq!(rows.len(), 4);
        assert!(
            rows[3].contains("index: 3") && rows[3].contains("words: \"down\""),
            "{}",
            rows[3]
        );
        assert!(
            rows[0].contains("tasks: [\"a\", \"b\"]") && rows[0].contains("mean: []"),
            "{}",
            rows[0]
        );
        assert!(
            rows[0].contains("channels: [[[0.1]], [[0.2]], [[0.3]]]"),
            "{}",
            rows[0]
        );
        let metadata = reader
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .expect("metadata");
        assert_eq!(metadata[0].key, "pandas");
    }
}
