//! The random numbers of numpy's legacy generator (MT19937), as LIBERO draws them.

use rand_mt::Mt;

/// Numbers of numpy's legacy generator.
pub struct NumpyRandom {
    mt: Mt,
    /// The polar method makes normal numbers in pairs; the one that is left.
    normal_left: Option<f64>,
}

impl NumpyRandom {
    /// The generator after `numpy.random.seed(seed)`.
    pub fn new(seed: u32) -> NumpyRandom {
        NumpyRandom {
            mt: Mt::new(seed),
            normal_left: None,
        }
    }

    /// Uniform in 0 to 1 with 53 bits.
    pub fn unit(&mut self) -> f64 {
        let high = f64::from(self.mt.next_u32() >> 5);
        let low = f64::from(self.mt.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// Uniform between two ends.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// One of `0..count`, as `numpy.random.randint(count)`: 32 bits at a time, masked, until one is small enough. Nothing
    /// is taken for a count of 1.
    pub fn below(&mut self, count: usize) -> usize {
        let largest = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        if largest == 0 {
            return 0;
        }
        let mask = u32::MAX >> largest.leading_zeros();
        loop {
            let value = self.mt.next_u32() & mask;
            if value <= largest {
                return value as usize;
            }
        }
    }

    /// Standard normal, as `numpy.random.randn()`: the polar method of Marsaglia.
    pub fn normal(&mut self) -> f64 {
        if let Some(left) = self.normal_left.take() {
            return left;
        }
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                let factor = libm::sqrt(-2.0 * libm::log(square) / square);
                self.normal_left = Some(factor * x);
                return factor * y;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of numpy after `seed(0)`: `random_sample(3)`, and `random_sample()` after `randn(7)`.
    #[test]
    fn the_stream_is_numpys() {
        let mut rng = NumpyRandom::new(0);
        let first = [rng.unit(), rng.unit(), rng.unit()];
        let known = [
            0.548_813_503_927_324_8,
            0.715_189_366_372_419_5,
            0.602_763_376_071_643_9,
        ];
        assert_eq!(first, known);
        // 0.548.. and 0.715.. make the first pair: 1.764.., 0.400..
        let mut rng = NumpyRandom::new(0);
        let pair = [rng.normal(), rng.normal()];
        for (found, known) in pair
            .iter()
            .zip([1.764_052_345_967_664, 0.400_157_208_367_223_3])
        {
            assert!((found - known).abs() < 1e-15, "{pair:?}");
        }
        assert_eq!(rng.unit(), known[2]);
    }

    /// `seed(0); [randint(n) for n in (1, 2, 3, 5, 2, 7, 1, 4)]; random_sample()`.
    #[test]
    fn bounded_integers_are_numpys() {
        let mut rng = NumpyRandom::new(0);
        let drawn = [1, 2, 3, 5, 2, 7, 1, 4].map(|count| rng.below(count));
        assert_eq!(drawn, [0, 0, 1, 0, 1, 3, 0, 3]);
        assert_eq!(rng.unit(), 0.847_251_738_784_125_4);
    }
}
