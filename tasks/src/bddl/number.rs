//! Numbers of BDDL files. LIBERO evaluates yaw angles as Python with `pi` in scope; this reads the part of that which
//! files use: numbers, `pi` (also `np.pi`, `math.pi`), signs, `+`, `-`, `*` and `/`.

/// The value of a number or expression; `None` if it is none or not finite.
pub(super) fn expression(text: &str) -> Option<f64> {
    let mut rest = Rest(text);
    let value = rest.sum()?;
    (rest.0.is_empty() && value.is_finite()).then_some(value)
}

/// What is left of an expression.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn eat(&mut self, sign: char) -> bool {
        match self.0.strip_prefix(sign) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        loop {
            if self.eat('+') {
                value += self.product()?;
            } else if self.eat('-') {
                value -= self.product()?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        loop {
            if self.eat('*') {
                value *= self.factor()?;
            } else if self.eat('/') {
                value /= self.factor()?;
            } else {
                return Some(value);
            }
        }
    }

    fn factor(&mut self) -> Option<f64> {
        let mut negative = false;
        loop {
            if self.eat('-') {
                negative = !negative;
            } else if !self.eat('+') {
                break;
            }
        }
        let value = self.constant().or_else(|| self.number())?;
        Some(if negative { -value } else { value })
    }

    fn constant(&mut self) -> Option<f64> {
        for name in ["pi", "np.pi", "numpy.pi", "math.pi"] {
            let Some(head) = self.0.get(..name.len()) else {
                continue;
            };
            let next = self.0[name.len()..].chars().next();
            let ends = next.is_none_or(|c| !c.is_alphanumeric() && c != '.' && c != '_');
            if head.eq_ignore_ascii_case(name) && ends {
                self.0 = &self.0[name.len()..];
                return Some(std::f64::consts::PI);
            }
        }
        None
    }

    fn number(&mut self) -> Option<f64> {
        let bytes = self.0.as_bytes();
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::expression;
    use std::f64::consts::PI;

    #[test]
    fn expressions_of_pi_are_numbers_and_other_words_are_not() {
        for (text, value) in [
            ("0.25", 0.25),
            ("-.5", -0.5),
            ("1e-3", 1e-3),
            ("2.", 2.0),
            ("pi", PI),
            ("-np.pi/2", -PI / 2.0),
            ("3*pi/4", 3.0 * PI / 4.0),
            ("2*PI", 2.0 * PI),
            ("pi/2+0.1", PI / 2.0 + 0.1),
            ("pi-1e-1", PI - 0.1),
        ] {
            assert_eq!(expression(text), Some(value), "{text}");
        }
        for text in [
            "", "-", "pie", "1/0", "inf", "nan", "x", "1.2.3", "pi/", "0x10", "np.e", "1 2", "é",
        ] {
            assert_eq!(expression(text), None, "{text}");
        }
    }
}
