//! From PyWavelets: three examples, side by side.
//!
//! [`transform`](crate::transform#coming-from-pywavelets) has a table of all calls. Three things differ throughout:
//!
//! - A *plan* ([`Dwt`](crate::transform::Dwt), [`Wavedec`](crate::transform::Wavedec)) is made once of wavelet, mode and shape,
//!   and checks them; then it is used any number of times.
//! - Results and scratch are slices of the caller's, of lengths that the plan tells. (With feature `alloc` the methods that end
//!   in `_vec` return a `Vec`.)
//! - Coefficients of several levels are in *one* buffer, in the order of PyWavelets' `ravel_coeffs`;
//!   [`band`](crate::transform::Wavedec::band) tells where each band is.
//!
//! The numbers below are what PyWavelets 1.9.0 prints.
//!
//! | beside that table | here |
//! |---|---|
//! | `wavelist(kind="discrete")`, `Modes.modes` | [`wavelets::ALL`](crate::filter_bank::wavelets::ALL), [`ExtensionMode::ALL`](crate::extension_mode::ExtensionMode::ALL) |
//! | `wavelet.dec_lo`, `wavelet.orthogonal`, … | [`dec_lo`](crate::filter_bank::FilterBank::dec_lo) of `DB4.double()`, [`is_orthogonal`](crate::filter_bank::Wavelet::is_orthogonal) of `DB4` |
//! | no mode, which is symmetric | it is always said |
//! | no level, which is the deepest | the smallest of the axes' [`dwt_max_level`](crate::transform::dwt_max_level), but at least 1 |
//! | `float32` arrays | `DB4.single()`: the bank's type is that of the signal; `half::f16` and `half::bf16` are stored, and computed as `f32` |
//! | `threshold` | a line of the caller's, as in the second example |
//! | `downcoef` | both bands are computed |
//! | `upcoef`, `fswavedecn`, `mra` | not there |
//!
//! # A line and back
//! ```python
//! cA, cD = pywt.dwt([1, 2, 4, 3, 2, 0, 1, 5], "db2", "symmetric")
//! # cA = [ 1.767767  2.664342  4.889688  0.543022  5.656854]
//! # cD = [-0.612372  1.319479  0.482963 -1.837117  2.44949 ]
//! x = pywt.idwt(cA, cD, "db2", "symmetric")
//! ```
//!
//! ```
//! use waveft_core::extension_mode::ExtensionMode::Symmetric;
//! use waveft_core::filter_bank::wavelets::DB2;
//! use waveft_core::transform::Dwt;
//!
//! let signal = [1.0, 2.0, 4.0, 3.0, 2.0, 0.0, 1.0, 5.0];
//! let dwt = Dwt::new(DB2.double(), Symmetric, signal.len())?;
//! let (mut approximation, mut detail) = (vec![0.0; dwt.band_length()], vec![0.0; dwt.band_length()]);
//! let mut scratch = vec![0.0; dwt.scratch_len()];
//! dwt.forward(&signal, &mut approximation, &mut detail, &mut scratch)?;
//!
//! let mut back = vec![0.0; dwt.reconstructed_length()];
//! dwt.inverse(&approximation, &detail, &mut back, &mut scratch)?;
//!
//! # fn near(found: &[f64], expected: &[f64], tolerance: f64) -> bool {
//! #     found.len() == expected.len() && found.iter().zip(expected).all(|(x, y)| (x - y).abs() < tolerance)
//! # }
//! assert!(near(&approximation, &[1.767767, 2.664342, 4.889688, 0.543022, 5.656854], 1e-6));
//! assert!(near(&detail, &[-0.612372, 1.319479, 0.482963, -1.837117, 2.44949], 1e-6));
//! assert!(near(&back, &signal, 1e-14));
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! # Noise taken away, over three levels
//! The details that are small are taken to be noise, and all of them are made smaller by as much: a soft threshold.
//!
//! ```python
//! x = np.array([abs(i % 16 - 8) + (0.3 if i % 2 else -0.3) for i in range(64)])
//! coefficients = pywt.wavedec(x, "sym4", "periodization", level=3)
//! coefficients[1:] = [pywt.threshold(c, 0.5, "soft") for c in coefficients[1:]]
//! y = pywt.waverec(coefficients, "sym4", "periodization")
//! # y[:6] = [7.402291 6.817906 6.065697 5.313693 4.201623 3.050468]
//! ```
//!
//! ```
//! use waveft_core::array::{Array, ArrayMut};
//! use waveft_core::extension_mode::ExtensionMode::Periodization;
//! use waveft_core::filter_bank::wavelets::SYM4;
//! use waveft_core::transform::Wavedec;
//!
//! let ramps = (0..64).map(|i| f64::from((i % 16 - 8_i32).abs()));
//! let noisy: Vec<f64> = ramps.zip([-0.3, 0.3].into_iter().cycle()).map(|(x, noise)| x + noise).collect();
//! let plan = Wavedec::new([(SYM4.double(), Periodization)], [64], 3)?;
//! let mut coefficients = vec![0.0; plan.coefficients_len()];
//! let mut scratch = vec![0.0; plan.scratch_len::<f64>()];
//! plan.forward(&Array::new(&noisy, [64])?, &mut coefficients, &mut scratch)?;
//!
//! let approximation = plan.band(3, [false])?.range; // the first of the buffer; all others are details
//! for detail in &mut coefficients[approximation.end..] {
//!     *detail = detail.signum() * (detail.abs() - 0.5).max(0.0);
//! }
//! let mut smoothed = vec![0.0; 64];
//! plan.inverse(&coefficients, &mut ArrayMut::new(&mut smoothed, [64])?, &mut scratch)?;
//!
//! let expected = [7.402291, 6.817906, 6.065697, 5.313693, 4.201623, 3.050468];
//! assert!(smoothed.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6));
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! # An image without its finest diagonal
//! A band's name has a letter for each axis, `a` approximation and `d` detail. PyWavelets' `cH` is `da`, detail along the first
//! axis (down the rows); `cV` is `ad` and `cD` is `dd`. The plan takes a letter as a `bool`, true for `d`.
//!
//! ```python
//! image = np.array([[row * column % 7 for column in range(30)] for row in range(20)], float)
//! cA2, level2, (cH1, cV1, cD1) = pywt.wavedec2(image, "db2", "reflect", level=2)
//! # cH1[0, 0] = -1.616025, cV1[3, 5] = -1.632772, cD1[10, 2] = -3.5, cA2[1, 1] = 2.986710
//! y = pywt.waverec2([cA2, level2, (cH1, cV1, None)], "db2", "reflect")
//! # y[4, 7] = 0.102048
//! ```
//!
//! ```
//! use waveft_core::array::{Array, ArrayMut};
//! use waveft_core::extension_mode::ExtensionMode::Reflect;
//! use waveft_core::filter_bank::wavelets::DB2;
//! use waveft_core::transform::Wavedec;
//!
//! let image: Vec<f64> = (0..20 * 30).map(|i| f64::from((i / 30) * (i % 30) % 7)).collect();
//! let plan = Wavedec::new([(DB2.double(), Reflect); 2], [20, 30], 2)?;
//! let mut coefficients = vec![0.0; plan.coefficients_len()];
//! let mut scratch = vec![0.0; plan.scratch_len::<f64>()];
//! plan.forward(&Array::new(&image, [20, 30])?, &mut coefficients, &mut scratch)?;
//!
//! let at = |level, detail, row: usize, column: usize| {
//!     let band = plan.band(level, detail)?;
//!     Ok::<f64, waveft_core::Error>(coefficients[band.range.start + row * band.shape[1] + column])
//! };
//! let found = [
//!     at(1, [true, false], 0, 0)?,  // cH1[0, 0]
//!     at(1, [false, true], 3, 5)?,  // cV1[3, 5]
//!     at(1, [true, true], 10, 2)?,  // cD1[10, 2]
//!     at(2, [false, false], 1, 1)?, // cA2[1, 1]
//! ];
//! let expected = [-1.616025, -1.632772, -3.5, 2.986710];
//! assert!(found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6));
//!
//! coefficients[plan.band(1, [true, true])?.range].fill(0.0);
//! let mut back = vec![0.0; 20 * 30];
//! plan.inverse(&coefficients, &mut ArrayMut::new(&mut back, [20, 30])?, &mut scratch)?;
//! assert!((back[4 * 30 + 7] - 0.102048).abs() < 1e-6);
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! # What PyWavelets has no call for
//! A gradient goes back through a transform by its *adjoint*. That is the inverse only for some modes and lengths
//! ([which](crate::transform#what-inverts-what)); [`forward_adjoint`](crate::transform::Dwt::forward_adjoint) and
//! [`inverse_adjoint`](crate::transform::Dwt::inverse_adjoint) are the adjoints for all nine.
