//! Statistics of features over frames: least, largest, mean, standard deviation, quantiles.

/// Quantiles that are written, with their names.
const QUANTILES: [(&str, f64); 5] = [
    ("q01", 0.01),
    ("q10", 0.1),
    ("q50", 0.5),
    ("q90", 0.9),
    ("q99", 0.99),
];

/// How often each value of each channel occurs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PixelCounts(Box<[[u64; 256]; 3]>);

impl Default for PixelCounts {
    fn default() -> PixelCounts {
        PixelCounts(Box::new([[0; 256]; 3]))
    }
}

impl PixelCounts {
    /// Of an RGB image.
    pub(crate) fn of(rgb: &[u8]) -> PixelCounts {
        let mut counts = PixelCounts::default();
        for pixel in rgb.as_chunks::<3>().0 {
            for (channel, value) in counts.0.iter_mut().zip(pixel) {
                channel[usize::from(*value)] += 1;
            }
        }
        counts
    }

    /// Adds the counts of another image.
    pub(crate) fn add(&mut self, other: &PixelCounts) {
        for (channel, more) in self.0.iter_mut().zip(other.0.iter()) {
            for (count, more) in channel.iter_mut().zip(more) {
                *count += more;
            }
        }
    }
}

/// Statistics of a feature, one value per component.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeatureStatistics {
    /// Name and values, in the order in which they are written.
    pub values: Vec<(&'static str, Vec<f64>)>,
    /// Number of frames.
    pub count: u64,
}

impl FeatureStatistics {
    /// Of numbers, frame by frame; each frame has as many.
    pub(crate) fn of_numbers(frames: &[Vec<f64>]) -> FeatureStatistics {
        let width = frames.first().map_or(0, Vec::len);
        let columns = (0..width).map(|i| {
            let mut column: Vec<f64> = frames.iter().map(|frame| frame[i]).collect();
            column.sort_by(f64::total_cmp);
            column
        });
        let columns: Vec<Vec<f64>> = columns.collect();
        let quantile = |column: &[f64], q: f64| {
            let at = q * (column.len() - 1) as f64;
            let (low, part) = (at.floor() as usize, at.fract());
            let high = (low + 1).min(column.len() - 1);
            column[low] + part * (column[high] - column[low])
        };
        let each = |f: &dyn Fn(&[f64]) -> f64| columns.iter().map(|column| f(column)).collect();
        let mean = |column: &[f64]| column.iter().sum::<f64>() / column.len() as f64;
        let deviation = |column: &[f64]| {
            let mean = mean(column);
            let squares: f64 = column.iter().map(|x| (x - mean) * (x - mean)).sum();
            (squares / column.len() as f64).sqrt()
        };
        let mut values: Vec<(&'static str, Vec<f64>)> = vec![
            ("min", each(&|column| column[0])),
            ("max", each(&|column| column[column.len() - 1])),
            ("mean", each(&mean)),
            ("std", each(&deviation)),
        ];
        values.extend(QUANTILES.map(|(name, q)| (name, each(&|column| quantile(column, q)))));
        FeatureStatistics {
            values,
            count: frames.len() as u64,
        }
    }

    /// Of `count` images, in parts of 1, one value per channel.
    pub(crate) fn of_pixels(counts: &PixelCounts, count: u64) -> FeatureStatistics {
        let each = |f: &dyn Fn(&[u64; 256]) -> f64| {
            counts.0.iter().map(|channel| f(channel) / 255.0).collect()
        };
        let total = |channel: &[u64; 256]| channel.iter().sum::<u64>().max(1) as f64;
        let mean = |channel: &[u64; 256]| {
            let sum: f64 = channel
                .iter()
                .enumerate()
                .map(|(value, n)| value as f64 * *n as f64)
                .sum();
            sum / total(channel)
        };
        let deviation = |channel: &[u64; 256]| {
            let mean = mean(channel);
            let squares = channel.iter().enumerate().map(|(value, n)| {
                let from_mean = value as f64 - mean;
                from_mean * from_mean * *n as f64
            });
            (squares.sum::<f64>() / total(channel)).sqrt()
        };
        let quantile = |channel: &[u64; 256], q: f64| {
            let wanted = q * (total(channel) - 1.0);
            let mut seen = 0.0;
            let found = channel.iter().position(|n| {
                seen += *n as f64;
                seen > wanted
            });
            found.unwrap_or(0) as f64
        };
        let mut values: Vec<(&'static str, Vec<f64>)> = vec![
            ("min", each(&|channel| quantile(channel, 0.0))),
            ("max", each(&|channel| quantile(channel, 1.0))),
            ("mean", each(&mean)),
            ("std", each(&deviation)),
        ];
        values.extend(QUANTILES.map(|(name, q)| (name, each(&|channel| quantile(channel, q)))));
        FeatureStatistics { values, count }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: statistics of numbers and of pixels are those of hand calculations.
    use super::*;

    fn value(statistics: &FeatureStatistics, name: &str) -> Vec<f64> {
        let found = statistics.values.iter().find(|(n, _)| *n == name);
        found.expect("a statistic").1.clone()
    }

    #[test]
    fn numbers_and_pixels() {
        let frames: Vec<Vec<f64>> = [4.0, 1.0, 3.0, 2.0].map(|x| vec![x, 7.0]).to_vec();
        let found = FeatureStatistics::of_numbers(&frames);
        assert_eq!(value(&found, "min"), [1.0, 7.0]);
        assert_eq!(value(&found, "max"), [4.0, 7.0]);
        assert_eq!(value(&found, "mean"), [2.5, 7.0]);
        assert_eq!(value(&found, "q50"), [2.5, 7.0]);
        assert_eq!(value(&found, "std"), [1.25f64.sqrt(), 0.0]);
        let mut counts = PixelCounts::of(&[0, 51, 255, 102, 51, 255]);
        counts.add(&PixelCounts::of(&[0, 51, 255, 102, 51, 255]));
        let found = FeatureStatistics::of_pixels(&counts, 2);
        assert_eq!(value(&found, "mean"), [0.2, 0.2, 1.0]);
        assert_eq!(value(&found, "std"), [0.2, 0.0, 0.0]);
        assert_eq!(value(&found, "min"), [0.0, 0.2, 1.0]);
        assert_eq!(value(&found, "max"), [0.4, 0.2, 1.0]);
        assert_eq!(
            (value(&found, "q10"), found.count),
            (vec![0.0, 0.2, 1.0], 2)
        );
    }
}
