//! Arrays of numbers as both protocols send them: a map with a mark, the bytes in row-major order, the type as NumPy names it, and the
//! shape. openpi's keys are bytes, those of vla-evaluation-harness text; both are read. The latter sends images also as PNG or
//! JPEG files.

use crate::value::{describe, field, text};
use crate::{Protocol, RemoteError, RgbImage};
use rmpv::Value;

/// Most dimensions of an array.
const MAX_DIMENSIONS: usize = 8;

/// Type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// Truth values, one byte each.
    Bool,
    /// Unsigned integers of so many bytes.
    Unsigned(u8),
    /// Signed integers of so many bytes.
    Signed(u8),
    /// IEEE 754 numbers of so many bytes: 2, 4 or 8.
    Float(u8),
}

impl ElementType {
    /// Reads NumPy's name, for example `<f4` or `|u1`.
    ///
    /// # Errors
    /// In words, for types that are no numbers (objects, complex numbers, texts) or of another byte order than little-endian.
    fn parse(name: &str) -> Result<ElementType, String> {
        let fail = || {
            format!("found the type `{name}`, expected little-endian numbers such as <f4 or |u1")
        };
        let (order, kind) = name.split_at_checked(1).ok_or_else(fail)?;
        let found = match kind {
            "b1" => ElementType::Bool,
            "u1" => ElementType::Unsigned(1),
            "u2" => ElementType::Unsigned(2),
            "u4" => ElementType::Unsigned(4),
            "u8" => ElementType::Unsigned(8),
            "i1" => ElementType::Signed(1),
            "i2" => ElementType::Signed(2),
            "i4" => ElementType::Signed(4),
            "i8" => ElementType::Signed(8),
            "f2" => ElementType::Float(2),
            "f4" => ElementType::Float(4),
            "f8" => ElementType::Float(8),
            _ => return Err(fail()),
        };
        let wide = found.bytes() > 1;
        match order {
            "<" => Ok(found),
            "|" | "=" | ">" if !wide => Ok(found),
            _ => Err(fail()),
        }
    }

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::Bool => "|b1",
            ElementType::Unsigned(1) => "|u1",
            ElementType::Unsigned(2) => "<u2",
            ElementType::Unsigned(4) => "<u4",
            ElementType::Unsigned(_) => "<u8",
            ElementType::Signed(1) => "|i1",
            ElementType::Signed(2) => "<i2",
            ElementType::Signed(4) => "<i4",
            ElementType::Signed(_) => "<i8",
            ElementType::Float(2) => "<f2",
            ElementType::Float(4) => "<f4",
            ElementType::Float(_) => "<f8",
        }
    }

    fn bytes(self) -> usize {
        match self {
            ElementType::Bool => 1,
            ElementType::Unsigned(n) | ElementType::Signed(n) | ElementType::Float(n) => {
                usize::from(n)
            }
        }
    }

    /// Value of an element, whose bytes are as many as the type has.
    fn number(self, bytes: &[u8]) -> f64 {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(wide);
        match self {
            ElementType::Bool => f64::from(unsigned != 0),
            ElementType::Unsigned(_) => unsigned as f64,
            ElementType::Signed(n) => {
                let shift = 64 - 8 * u32::from(n);
                ((unsigned << shift) as i64 >> shift) as f64
            }
            ElementType::Float(2) => half(unsigned as u16),
            ElementType::Float(4) => f64::from(f32::from_bits(unsigned as u32)),
            ElementType::Float(_) => f64::from_bits(unsigned),
        }
    }
}

/// Value of an IEEE 754 number of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// An array of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    element: ElementType,
    shape: Vec<usize>,
    /// Row-major, little-endian.
    data: Vec<u8>,
}

impl Array {
    /// Numbers as f64.
    ///
    /// # Panics
    /// If there are not as many as the shape says.
    pub fn of_f64(shape: &[usize], numbers: &[f64]) -> Array {
        assert_eq!(shape.iter().product::<usize>(), numbers.len());
        Array {
            element: ElementType::Float(8),
            shape: shape.to_vec(),
            data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// Numbers rounded to f32, the type that servers of both protocols send actions in.
    ///
    /// # Panics
    /// If there are not as many as the shape says.
    pub fn of_f32(shape: &[usize], numbers: &[f64]) -> Array {
        assert_eq!(shape.iter().product::<usize>(), numbers.len());
        let bytes = numbers.iter().flat_map(|x| (*x as f32).to_le_bytes());
        Array {
            element: ElementType::Float(4),
            shape: shape.to_vec(),
            data: bytes.collect(),
        }
    }

    /// An image, `[height, width, 3]`.
    pub fn of_image(image: &RgbImage) -> Array {
        Array {
            element: ElementType::Unsigned(1),
            shape: vec![image.height(), image.width(), 3],
            data: image.rgb().to_vec(),
        }
    }

    /// Type of the elements.
    pub fn element(&self) -> ElementType {
        self.element
    }

    /// Size of every dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn numbers(&self) -> Vec<f64> {
        let elements = self.data.chunks_exact(self.element.bytes());
        elements.map(|bytes| self.element.number(bytes)).collect()
    }

    /// The array as an image.
    ///
    /// # Errors
    /// In words, if it is not `[height, width, 3]` of bytes.
    pub fn image(&self) -> Result<RgbImage, String> {
        match (self.element, self.shape.as_slice()) {
            (ElementType::Unsigned(1), [height, width, 3]) => {
                RgbImage::new(*width, *height, self.data.clone())
            }
            _ => Err(format!(
                "found {} {:?}, expected |u1 [height, width, 3]",
                self.element.name(),
                self.shape
            )),
        }
    }

    /// The array as a map of a protocol.
    pub(crate) fn to_value(&self, protocol: Protocol) -> Value {
        let key = |name: &str| match protocol {
            Protocol::OpenPi => Value::Binary(name.as_bytes().to_vec()),
            Protocol::VlaEval => name.into(),
        };
        let shape = self.shape.iter().map(|n| Value::from(*n as u64)).collect();
        Value::Map(vec![
            (key("__ndarray__"), true.into()),
            (key("data"), Value::Binary(self.data.clone())),
            (key("dtype"), self.element.name().into()),
            (key("shape"), Value::Array(shape)),
        ])
    }

    /// Reads an array, an image file, or a plain list of numbers (of lists).
    ///
    /// # Errors
    /// [`RemoteError::Message`] with found and expected content.
    pub(crate) fn from_value(value: &Value, place: &str) -> Result<Array, RemoteError> {
        let fail = |what: String| RemoteError::message(place, what);
        if field(value, "__image__").is_some() {
            return image_file(value).map_err(fail);
        }
        if field(value, "__ndarray__").is_some() {
            return array(value).map_err(fail);
        }
        let mut numbers = Vec::new();
        let shape = list(value, &mut numbers).ok_or_else(|| {
            fail(format!(
                "found {}, expected an array of numbers",
                describe(value)
            ))
        })?;
        Ok(Array::of_f64(&shape, &numbers))
    }
}

fn array(value: &Value) -> Result<Array, String> {
    let part = |name: &str| field(value, name).ok_or_else(|| format!("an array without `{name}`"));
    let element = part("dtype")?;
    let element = text(element).ok_or_else(|| format!("dtype: found {}", describe(element)))?;
    let element = ElementType::parse(element)?;
    let shape = shape(part("shape")?)?;
    let data = part("data")?;
    let data = data.as_slice().filter(|_| data.is_bin());
    let data = data.ok_or("data: expected bytes")?;
    let expected = shape
        .iter()
        .try_fold(element.bytes(), |n, size| n.checked_mul(*size));
    if expected != Some(data.len()) {
        return Err(format!(
            "found {} bytes of data, expected those of {} {shape:?}",
            data.len(),
            element.name()
        ));
    }
    Ok(Array {
        element,
        shape,
        data: data.to_vec(),
    })
}

fn shape(value: &Value) -> Result<Vec<usize>, String> {
    let sizes = value
        .as_array()
        .filter(|sizes| sizes.len() <= MAX_DIMENSIONS);
    let sizes = sizes.and_then(|sizes| {
        let sizes = sizes
            .iter()
            .map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok()));
        sizes.collect::<Option<Vec<usize>>>()
    });
    sizes.ok_or_else(|| {
        format!(
            "shape: found {}, expected up to {MAX_DIMENSIONS} sizes",
            describe(value)
        )
    })
}

/// An image as a file, or as bytes like an array.
fn image_file(value: &Value) -> Result<Array, String> {
    let format = field(value, "format").and_then(text).unwrap_or_default();
    let kind = match format {
        "raw" => return array(value),
        "png" => image::ImageFormat::Png,
        "jpeg" => image::ImageFormat::Jpeg,
        other => {
            return Err(format!(
                "found an image in `{other}`, expected raw, png or jpeg"
            ));
        }
    };
    let data = field(value, "data").and_then(Value::as_slice);
    let data = data.ok_or("an image without bytes")?;
    let mut reader = image::ImageReader::with_format(std::io::Cursor::new(data), kind);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(RgbImage::MAX_SIDE as u32);
    limits.max_image_height = Some(RgbImage::MAX_SIDE as u32);
    limits.max_alloc = Some(64 << 20);
    reader.limits(limits);
    let image = reader
        .decode()
        .map_err(|e| format!("an image in {format}: {e}"))?;
    let image = image.into_rgb8();
    Ok(Array {
        element: ElementType::Unsigned(1),
        shape: vec![image.height() as usize, image.width() as usize, 3],
        data: image.into_raw(),
    })
}

/// Numbers of nested lists of the same lengths, and their shape.
fn list(value: &Value, numbers: &mut Vec<f64>) -> Option<Vec<usize>> {
    let Some(items) = value.as_array() else {
        numbers.push(value.as_f64()?);
        return Some(Vec::new());
    };
    let mut inner: Option<Vec<usize>> = None;
    for item in items {
        let shape = list(item, numbers)?;
        if inner.get_or_insert_with(|| shape.clone()) != &shape {
            return None;
        }
    }
    let mut shape = vec![items.len()];
    shape.extend(inner.unwrap_or_default());
    Some(shape)
}

#[cfg(test)]
mod tests {
    //! Guarantee: arrays survive both protocols; sizes, types and shapes that do not fit are refused in words.
    use super::*;
    use crate::value::map;

    #[test]
    fn arrays_survive_both_protocols() {
        let numbers = [0.5, -1.25, 3.0, 1e-3, 0.0, 7.0];
        for protocol in [Protocol::OpenPi, Protocol::VlaEval] {
            let array = Array::of_f64(&[2, 3], &numbers);
            let back = Array::from_value(&array.to_value(protocol), "actions").unwrap();
            assert_eq!(back, array);
            assert_eq!(back.numbers(), numbers);
        }
        let keys = Array::of_f64(&[1], &[1.0]).to_value(Protocol::OpenPi);
        assert!(keys.as_map().unwrap().iter().all(|(key, _)| key.is_bin()));
    }

    #[test]
    fn every_type_is_read() {
        let bytes = [0xff, 0xc0, 0xa0, 0x3f, 0, 0, 0, 0];
        for (name, expected) in [
            ("|u1", 255.0),
            ("|i1", -1.0),
            ("|b1", 1.0),
            ("<u2", 0xc0ff_u16 as f64),
            ("<i2", -16129.0),
            ("<i4", 1_067_499_775.0),
            ("<f4", f64::from(f32::from_bits(0x3fa0_c0ff))),
        ] {
            let element = ElementType::parse(name).unwrap();
            assert_eq!(
                element.number(&bytes[..element.bytes()]),
                expected,
                "{name}"
            );
            assert_eq!(element.name(), name);
        }
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2f64.powi(-24)),
            (0x7bff, 65504.0),
        ] {
            assert_eq!(half(bits), expected);
        }
        assert!(half(0x7c01).is_nan() && half(0xfc00) == f64::NEG_INFINITY);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let array = |dtype: &str, shape: Vec<Value>, data: Vec<u8>| {
            map([
                ("__ndarray__", true.into()),
                ("dtype", dtype.into()),
                ("shape", Value::Array(shape)),
                ("data", Value::Binary(data)),
            ])
        };
        for (value, words) in [
            (array("|O", vec![1.into()], vec![0; 8]), "type `|O`"),
            (array(">f4", vec![1.into()], vec![0; 4]), "type `>f4`"),
            (array("<c8", vec![1.into()], vec![0; 8]), "type `<c8`"),
            (array("<f4", vec![2.into()], vec![0; 4]), "4 bytes of data"),
            (
                array("<f4", vec![u64::MAX.into(), 8.into()], vec![0; 4]),
                "4 bytes of data",
            ),
            (array("<f4", vec![Value::from(-1)], vec![]), "shape"),
            (array("<f4", vec![1.into(); 9], vec![]), "shape"),
            (map([("__ndarray__", true.into())]), "without `dtype`"),
            (
                map([("__image__", true.into()), ("format", "gif".into())]),
                "`gif`",
            ),
            (
                Value::Array(vec![1.into(), Value::Array(vec![1.into()])]),
                "a list of 2",
            ),
            (Value::Nil, "nil"),
        ] {
            let error = Array::from_value(&value, "field").unwrap_err().to_string();
            assert!(
                error.starts_with("field: ") && error.contains(words),
                "{error}"
            );
        }
    }
}
