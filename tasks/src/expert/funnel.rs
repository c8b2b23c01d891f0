//! Approaches that come nearer in proportion to the error of the hand: the action is a continuous function of the state, which a policy
//! that sees its error only roughly can follow without standing still where hovering turns into descending.

/// Errors of a hand between which the distance that it keeps from the end of its approach falls in proportion.
pub(super) struct Funnel {
    /// Distance from the line of the approach, m, and orientation error, rad, up to which the hand goes all the way.
    pub arrived: (f64, f64),
    /// The same from which it keeps the full distance.
    pub outside: (f64, f64),
}

impl Funnel {
    /// Share of the full distance that a hand keeps with these errors, 0 to 1: that of the distance from its line (m) or that of the
    /// orientation error (rad), whichever is larger.
    pub(super) fn share(&self, distance: f64, angle: f64) -> f64 {
        let (arrived, outside) = (self.arrived, self.outside);
        let of_distance = (distance - arrived.0) / (outside.0 - arrived.0);
        let of_angle = (angle - arrived.1) / (outside.1 - arrived.1);
        of_distance.max(of_angle).clamp(0.0, 1.0)
    }
}

/// Guarantee: the share is 0 within the arrived errors, 1 outside of the funnel, in proportion between, and that of the larger error.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_error_counts() {
        let funnel = Funnel {
            arrived: (0.01, 0.1),
            outside: (0.05, 0.5),
        };
        assert_eq!(funnel.share(0.01, 0.1), 0.0);
        assert_eq!(funnel.share(0.0, 0.0), 0.0);
        assert_eq!(funnel.share(0.06, 0.0), 1.0);
        assert_eq!(funnel.share(0.0, 0.7), 1.0);
        assert!((funnel.share(0.03, 0.2) - 0.5).abs() < 1e-12);
        assert!((funnel.share(0.02, 0.4) - 0.75).abs() < 1e-12);
    }
}
