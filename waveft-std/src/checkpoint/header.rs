//! The header of a `.safetensors` file: which tensors it holds, and where.

use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::fmt;
use std::ops::Range;

use super::Dtype;
use super::unique_map::UniqueMap;

/// The largest header accepted, in bytes: the limit of the `safetensors` crate.
const LARGEST_HEADER: u64 = 100_000_000;

/// The longest name accepted, in bytes: what is done with a name's parts may cost the square of its length.
const LONGEST_NAME: usize = 4096;

/// The length of the field that precedes the header: its size, little-endian.
const SIZE_FIELD: u64 = 8;

/// The header of a `.safetensors` file, checked against the file's length.
///
/// The tensors are in the order of their data, which covers the rest of the file without a hole or an overlap.
#[derive(Debug, Clone)]
pub struct Header {
    metadata: Option<Vec<(String, String)>>,
    tensors: Vec<HeaderTensor>,
    data_start: u64,
}

/// One tensor of a [`Header`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTensor {
    /// The tensor's name.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape, outermost axis first; the data is row-major.
    pub shape: Vec<usize>,
    /// Where its bytes are in the file, counted from the file's start.
    pub place: Range<u64>,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFault {
    /// The tensor at fault, when it is a tensor's.
    pub tensor: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What was found instead.
    pub found: String,
}

impl Header {
    /// Reads the header of a whole `.safetensors` file held in `file`; only the header's own bytes are touched.
    ///
    /// Accepts what the `safetensors` crate accepts, except that a name that comes twice or has more than 4096 bytes is refused.
    ///
    /// # Errors
    /// When the file is shorter than the header says, the header is larger than 100 MB, not UTF-8 or not such JSON, a
    /// tensor's length differs from its shape times its element size, or the data does not cover the file exactly.
    ///
    /// ```
    /// use waveft_std::checkpoint::Header;
    ///
    /// let json = br#"{"weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
    /// let mut file = (json.len() as u64).to_le_bytes().to_vec();
    /// file.extend(json);
    /// file.extend([0; 8]);
    /// let header = Header::parse(&file).unwrap();
    /// assert_eq!(header.tensors()[0].shape, [1, 2]);
    ///
    /// file.pop();
    /// let fault = Header::parse(&file).unwrap_err();
    /// assert_eq!(fault.to_string(), "expected a file of 77 bytes, found 76 bytes");
    /// ```
    pub fn parse(file: &[u8]) -> Result<Self, HeaderFault> {
        Self::parse_beginning(file, file.len() as u64)
    }

    /// Reads the header from the `beginning`, at least `data_start` bytes, of a file of `length` bytes.
    pub(crate) fn parse_beginning(beginning: &[u8], length: u64) -> Result<Self, HeaderFault> {
        let Some((size, rest)) = beginning.split_first_chunk::<8>() else {
            return Err(fault("at least 8 bytes", format!("{length} bytes")));
        };
        let size = u64::from_le_bytes(*size);
        if size > LARGEST_HEADER {
            return Err(match other_kind(beginning) {
                Some(kind) => fault("a .safetensors file", kind),
                None => fault(
                    format!("a .safetensors file, with a header of at most {LARGEST_HEADER} bytes"),
                    format!("{size} bytes, or another kind of file"),
                ),
            });
        }
        let data_start = SIZE_FIELD + size;
        let Some(json) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) else {
            return Err(fault(
                format!("a header of {size} bytes"),
                format!("a file of {length} bytes"),
            ));
        };
        let json = std::str::from_utf8(json)
            .map_err(|error| fault("a header in UTF-8", error.to_string()))?;
        let raw: RawHeader = serde_json::from_str(json)
            .map_err(|error| fault("a header in safetensors' JSON", error.to_string()))?;
        let tensors = place_tensors(raw.tensors, data_start)?;
        let end = tensors.last().map_or(data_start, |last| last.place.end);
        if end != length {
            return Err(fault(
                format!("a file of {end} bytes"),
                format!("{length} bytes"),
            ));
        }
        Ok(Self {
            metadata: raw.metadata,
            tensors,
            data_start,
        })
    }

    /// The tensors, in the order of their data (and by name where several are empty).
    pub fn tensors(&self) -> &[HeaderTensor] {
        &self.tensors
    }

    /// The `__metadata__` entries in the file's order, or `None` when the header has none.
    pub fn metadata(&self) -> Option<&[(String, String)]> {
        self.metadata.as_deref()
    }

    /// Where the data starts: `8 +` the header's size.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// The bytes of a file's beginning (size and header) for `tensors` laid out one after another in this order, padded
    /// with spaces so that the data starts at a multiple of 8.
    pub(crate) fn serialize<'a>(
        metadata: Option<&[(String, String)]>,
        tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], u64)>,
    ) -> serde_json::Result<Vec<u8>> {
        let mut entries = serde_json::Map::new();
        if let Some(metadata) = metadata {
            let metadata = metadata
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().into()));
            entries.insert(
                "__metadata__".to_owned(),
                serde_json::Value::Object(metadata.collect()),
            );
        }
        let mut offset = 0;
        for (name, dtype, shape, length) in tensors {
            let end = offset + length;
            let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] });
            entries.insert(name.to_owned(), entry);
            offset = end;
        }
        let mut json = serde_json::to_vec(&entries)?;
        json.resize(json.len().next_multiple_of(8), b' ');
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut json);
        Ok(bytes)
    }
}

/// What a file is that is taken for a `.safetensors` file and begins like another, with what to do about it.
fn other_kind(beginning: &[u8]) -> Option<&'static str> {
    const PICKLE: &str = "a pickle of torch's, as in .bin and .pt files, which can run code; load it with torch and save it \
                          with safetensors";
    const POINTER: &str =
        "a pointer of Git LFS in the file's place; `git lfs pull` fetches the file";
    let kinds: [(&[u8], &str); 4] = [
        (b"PK\x03\x04", PICKLE),
        (b"\x80\x02\x8a\x0a", PICKLE),
        (b"version https://git-lfs", POINTER),
        (b"{", "JSON"),
    ];
    let found = kinds
        .into_iter()
        .find(|(start, _)| beginning.starts_with(start));
    found.map(|(_, kind)| kind)
}

/// Puts the tensors in the order of their data and checks that each starts where the one before ends.
fn place_tensors(
    raw: Vec<(String, TensorInfo)>,
    data_start: u64,
) -> Result<Vec<HeaderTensor>, HeaderFault> {
    let mut raw = raw;
    raw.sort_by(|(name, info), (other_name, other)| {
        (info.data_offsets, name.as_str()).cmp(&(other.data_offsets, other_name.as_str()))
    });
    let mut expected_start = 0;
    let mut tensors = Vec::with_capacity(raw.len());
    for (
        name,
        TensorInfo {
            dtype,
            shape,
            data_offsets: (start, end),
        },
    ) in raw
    {
        if name.len() > LONGEST_NAME {
            let expected = format!("a name of at most {LONGEST_NAME} bytes");
            let length = name.len();
            return Err(fault(expected, format!("{length} bytes")).of(name));
        }
        let found = || format!("data offsets [{start}, {end}]");
        if start != expected_start {
            return Err(fault(format!("data from offset {expected_start} on"), found()).of(name));
        }
        let Some(length) = byte_length(dtype, &shape) else {
            return Err(fault(
                "a whole number of bytes that fits in memory",
                format!("{dtype} {shape:?}"),
            )
            .of(name));
        };
        // A sum that overflows is not `end` either.
        if start.checked_add(length) != Some(end) {
            return Err(fault(format!("{length} bytes for {dtype} {shape:?}"), found()).of(name));
        }
        let at = |offset: usize| data_start.checked_add(offset as u64);
        let (Some(file_start), Some(file_end)) = (at(start), at(end)) else {
            return Err(fault("data that a file can hold", found()).of(name));
        };
        expected_start = end;
        tensors.push(HeaderTensor {
            name,
            dtype,
            shape,
            place: file_start..file_end,
        });
    }
    Ok(tensors)
}

/// The bytes that a tensor takes, or `None` when that overflows or is not a whole number.
pub(crate) fn byte_length(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let elements = shape
        .iter()
        .try_fold(1usize, |product, &axis| product.checked_mul(axis))?;
    let bits = elements.checked_mul(dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

fn fault(expected: impl Into<String>, found: impl Into<String>) -> HeaderFault {
    HeaderFault {
        tensor: None,
        expected: expected.into(),
        found: found.into(),
    }
}

impl HeaderFault {
    fn of(self, tensor: String) -> Self {
        Self {
            tensor: Some(tensor),
            ..self
        }
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tensor) = &self.tensor {
            write!(formatter, "tensor `{tensor}`: ")?;
        }
        write!(
            formatter,
            "expected {}, found {}",
            self.expected, self.found
        )
    }
}

impl std::error::Error for HeaderFault {}

/// The header's JSON as it stands.
struct RawHeader {
    metadata: Option<Vec<(String, String)>>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawHeaderVisitor)
    }
}

struct RawHeaderVisitor;

impl<'de> Visitor<'de> for RawHeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut raw = RawHeader {
            metadata: None,
            tensors: Vec::new(),
        };
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("`{name}` comes twice")));
            }
            if name == "__metadata__" {
                raw.metadata = map
                    .next_value::<Option<UniqueMap<String>>>()?
                    .map(|UniqueMap(entries)| entries);
            } else {
                raw.tensors.push((name, map.next_value()?));
            }
        }
        Ok(raw)
    }
}
