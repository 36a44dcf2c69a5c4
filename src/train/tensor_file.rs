//! A safetensors file, written from where its tensors already are: as a whole it would be as large again as they are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::error::Result;
use crate::train::checkpoint::unwritable;

/// Headers end at a multiple of so many bytes, so that what follows is aligned.
const ALIGNMENT: usize = 8;

/// A file's header and tensors, behind each other.
pub struct TensorFile<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> TensorFile<'a> {
    /// That of some tensors of one type, by name: their shapes and bytes.
    ///
    /// # Errors
    /// When a tensor's bytes are not as many as its shape says.
    pub(super) fn new(
        dtype: Dtype,
        tensors: BTreeMap<String, (Vec<usize>, Cow<'a, [u8]>)>,
        metadata: Option<HashMap<String, String>>,
    ) -> Result<Self> {
        let (mut described, mut parts) = (Vec::new(), vec![Cow::default()]);
        let mut end = 0;
        for (name, (shape, bytes)) in tensors {
            let begin = end;
            end += bytes.len();
            let data_offsets = (begin, end);
            described.push((
                name,
                TensorInfo {
                    dtype,
                    shape,
                    data_offsets,
                },
            ));
            parts.push(bytes);
        }
        let header = Metadata::new(metadata, described).map_err(|error| unwritable(&error))?;
        let mut header = serde_json::to_vec(&header).map_err(|error| unwritable(&error))?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        let mut front = (header.len() as u64).to_le_bytes().to_vec();
        front.append(&mut header);
        parts[0] = Cow::Owned(front);
        Ok(Self(parts))
    }

    /// The file's bytes, piece after piece.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|part| &part[..])
    }

    /// How many bytes that are.
    pub fn bytes(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// The file's bytes, as a whole.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_those_of_safetensors() {
        use safetensors::tensor::TensorView;

        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let values = [[1_u8, 2, 3, 4], [5, 6, 7, 8]].concat();
        let tensors = [("b", vec![1, 2], &values[..]), ("a", vec![1], &values[4..])];
        let views = tensors.clone().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape, bytes).expect("as many bytes");
            (name.to_owned(), view)
        });
        let theirs = safetensors::serialize(views, Some(metadata.clone())).expect("sound tensors");
        let tensors = tensors.map(|(name, shape, bytes)| (name.to_owned(), (shape, bytes.into())));
        let ours =
            TensorFile::new(Dtype::F32, tensors.into(), Some(metadata)).expect("sound tensors");
        assert_eq!(ours.to_bytes(), theirs);
    }

    #[test]
    fn other_bytes_than_the_shape_says_are_refused() {
        let tensor = (vec![3], Cow::Borrowed(&[0; 8][..]));
        let tensors = BTreeMap::from([("a".to_owned(), tensor)]);
        assert!(TensorFile::new(Dtype::F32, tensors, None).is_err());
    }
}
