//! Compact letter display of pairwise comparisons.

/// Returns a text of letters per item such that two items share a letter exactly if they do not differ significantly
/// (Piepho, Journal of Computational and Graphical Statistics 13, 2004, 456-466: insert and absorb). `differ` holds the pairs
/// that do, as indices below `items`. Letters are given in the order of the items: the first has `a`.
///
/// ```
/// use bitvla_reports::compact_letters;
/// // The last differs from both others.
/// assert_eq!(compact_letters(3, &[(0, 2), (1, 2)]), ["a", "a", "b"]);
/// // The first and the last differ, the middle one from neither.
/// assert_eq!(compact_letters(3, &[(0, 2)]), ["a", "ab", "b"]);
/// ```
pub fn compact_letters(items: usize, differ: &[(usize, usize)]) -> Vec<String> {
    let mut groups: Vec<Vec<bool>> = vec![vec![true; items]];
    for &(i, j) in differ {
        let (split, mut kept): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| g[i] && g[j]);
        for group in split {
            for without in [j, i] {
                let mut part = group.clone();
                part[without] = false;
                kept.push(part);
            }
        }
        // A group that is part of another one says nothing; of equal ones the first stays.
        let within = |a: &[bool], b: &[bool]| a.iter().zip(b).all(|(a, b)| !a || *b);
        groups = (0..kept.len())
            .filter(|&k| {
                !(0..kept.len()).any(|l| {
                    l != k && within(&kept[k], &kept[l]) && (l < k || !within(&kept[l], &kept[k]))
                })
            })
            .map(|k| kept[k].clone())
            .collect();
    }
    groups.sort_by(|a, b| b.cmp(a));
    let letter = |k: usize| char::from_u32('a' as u32 + k as u32 % 26).unwrap_or('?');
    (0..items)
        .map(|item| {
            let of = groups.iter().enumerate().filter(|(_, group)| group[item]);
            of.map(|(k, _)| letter(k)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Guarantee: for every set of differing pairs of five items, two items share a letter exactly if they do not differ.
    use super::*;

    #[test]
    fn letters_say_exactly_which_pairs_differ() {
        let pairs: Vec<(usize, usize)> = (0..5)
            .flat_map(|i| (i + 1..5).map(move |j| (i, j)))
            .collect();
        for set in 0..1u32 << pairs.len() {
            let differ: Vec<_> = (0..pairs.len())
                .filter(|k| set >> k & 1 == 1)
                .map(|k| pairs[k])
                .collect();
            let letters = compact_letters(5, &differ);
            for &(i, j) in &pairs {
                let share = letters[i].chars().any(|c| letters[j].contains(c));
                assert_eq!(share, !differ.contains(&(i, j)), "{differ:?}: {letters:?}");
            }
            assert!(letters.iter().all(|l| !l.is_empty()));
        }
    }
}
