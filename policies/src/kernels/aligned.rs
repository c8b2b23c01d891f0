//! Buffers for vector registers.

/// A buffer whose contents start at a cache line (64 bytes).
#[derive(Debug, Default)]
pub struct AlignedBuffer<T> {
    values: Vec<T>,
}

impl<T: Copy + Default> AlignedBuffer<T> {
    /// The first `len` values, to be written; new ones hold the default, old ones whatever was written last.
    pub fn get(&mut self, len: usize) -> &mut [T] {
        let spare = 64 / size_of::<T>();
        if self.values.len() < len + spare {
            self.values.resize(len + spare, T::default());
        }
        let start = self.start();
        &mut self.values[start..start + len]
    }

    /// The first `len` values as they are; empty where there are fewer.
    pub fn view(&self, len: usize) -> &[T] {
        let start = self.start();
        self.values.get(start..start + len).unwrap_or_default()
    }

    fn start(&self) -> usize {
        let spare = 64 / size_of::<T>();
        self.values.as_ptr().align_offset(64).min(spare)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: the contents start at a cache line, however often the buffer grew.
    use super::*;

    #[test]
    fn aligned_buffers_start_at_a_cache_line() {
        let mut buffer = AlignedBuffer::<f32>::default();
        for len in [1, 100, 7, 5000] {
            assert!(buffer.get(len).as_ptr().cast::<u8>().align_offset(64) == 0);
        }
    }
}
