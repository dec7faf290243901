//! Learning-rate schedules with a linear warm-up.
//!
//! Each is a factor on the learning rate that depends on nothing but the number of steps done, so that there is no state to
//! save. They are those of transformers: `get_constant_schedule_with_warmup`, `get_linear_schedule_with_warmup` and
//! `get_cosine_schedule_with_warmup` (with its half cycle).

use core::f64::consts::PI;

/// How the learning rate changes from step to step.
///
/// In the first `warmup_steps`, `w`, the factor is `step / w`; what follows is each one's own. No value of the fields is
/// refused: a warm-up as long as the whole, or no step at all, is what transformers makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// 1 after the warm-up.
    Constant {
        /// Steps of warm-up.
        warmup_steps: u64,
    },
    /// Falls in a line from 1 after the warm-up to 0 at `total_steps`, and stays there.
    Linear {
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Steps in all, with the warm-up.
        total_steps: u64,
    },
    /// Falls along half a cosine from 1 after the warm-up to 0 at `total_steps`. Past these it rises again, along the same
    /// cosine.
    Cosine {
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Steps in all, with the warm-up.
        total_steps: u64,
    },
}

impl Schedule {
    /// The factor on the learning rate, 0 to 1, of the step that follows on `steps_done`.
    ///
    /// So the first step is `factor(0)`, which is 0 if there is a warm-up. Cost: that of a cosine.
    ///
    /// ```
    /// use waveft_core::schedule::Schedule;
    /// let schedule = Schedule::Linear { warmup_steps: 2, total_steps: 6 };
    /// let factors = [0, 1, 2, 3, 4, 5, 6, 7].map(|step| schedule.factor(step));
    /// assert_eq!(factors, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
    /// ```
    #[must_use]
    pub fn factor(self, steps_done: u64) -> f64 {
        let (Self::Constant { warmup_steps }
        | Self::Linear { warmup_steps, .. }
        | Self::Cosine { warmup_steps, .. }) = self;
        if steps_done < warmup_steps {
            return steps_done as f64 / warmup_steps as f64;
        }
        let after_warmup =
            |total_steps: u64| total_steps.saturating_sub(warmup_steps).max(1) as f64;
        match self {
            Self::Constant { .. } => 1.0,
            Self::Linear { total_steps, .. } => {
                total_steps.saturating_sub(steps_done) as f64 / after_warmup(total_steps)
            }
            Self::Cosine { total_steps, .. } => {
                let progress = (steps_done - warmup_steps) as f64 / after_warmup(total_steps);
                (0.5 * (1.0 + libm::cos(PI * progress))).max(0.0)
            }
        }
    }
}
