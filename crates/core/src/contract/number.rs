//! What is counted, as the doubles that metrics are, and back.

use std::time::Duration;

use crate::base::time::Utc;

/// A number that is counted.
pub(super) trait Number: Copy {
    fn shown(self) -> f64;
    fn read(value: f64) -> Self;
}

/// Whole numbers are far below 2^53, so that a double holds them.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
impl Number for u64 {
    fn shown(self) -> f64 {
        self as f64
    }

    fn read(value: f64) -> Self {
        value as Self
    }
}

impl Number for u32 {
    fn shown(self) -> f64 {
        self.into()
    }

    fn read(value: f64) -> Self {
        Self::try_from(u64::read(value)).unwrap_or(Self::MAX)
    }
}

/// In seconds.
impl Number for Duration {
    fn shown(self) -> f64 {
        self.as_secs_f64()
    }

    fn read(value: f64) -> Self {
        Self::try_from_secs_f64(value).unwrap_or_default()
    }
}

/// In seconds since 1970; zero stands for never.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
impl Number for Option<Utc> {
    fn shown(self) -> f64 {
        self.map_or(0.0, |utc| utc.as_millis() as f64 / 1_000.0)
    }

    fn read(value: f64) -> Self {
        let time = Duration::read(value);
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        (!time.is_zero()).then(|| Utc::from_millis(millis))
    }
}

/// In seconds, of either sign.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "saturates")]
impl Number for i64 {
    fn shown(self) -> f64 {
        self as f64
    }

    fn read(value: f64) -> Self {
        value as Self
    }
}

impl Number for bool {
    fn shown(self) -> f64 {
        u8::from(self).into()
    }

    fn read(value: f64) -> Self {
        value != 0.0
    }
}
