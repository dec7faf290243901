//! From a spectrum to an update of a weight.
//!
//! A layer's weight `W` has `M × N` entries, outputs by inputs. Fine-tuning changes it to `W + ΔW`. Training all of `ΔW` takes
//! as many numbers as the layer has; WaveFT trains `n` of its wavelet coefficients, a few thousand, and leaves all others zero.
//!
#![doc = include_str!("idea.svg")]
//!
//! On the left is the spectrum `S`: the coefficients of `ΔW` in a wavelet basis, zero but for the dots. On the right is the
//! matrix that has this spectrum,
//!
//! ```text
//! ΔW = scaling · R · S · Cᵀ
//! ```
//!
//! `R` and `C` are inverse wavelet transforms, of columns and of rows. The rank of `ΔW` is not bounded by the number of
//! parameters, as it is for LoRA: 14 coefficients in rows and columns of their own can give a matrix of rank 14.
//!
//! # One coefficient, one atom
//! A coefficient in `S` adds one small pattern to `ΔW`, its *atom*: the outer product of a filter down and a filter across.
//! There are two filters of `L` taps, `lo` (an average, the approximation) and `hi` (a difference, the detail). So there are
//! four kinds of atom, one for each quarter of `S`. These are db4's, of 8 × 8 entries:
//!
#![doc = include_str!("atoms.svg")]
//!
//! Neighbours in a quarter of `S` have the same atom, two entries further on. (The halves are crossed: a coefficient in the
//! right half of `S` has `hi` *down* the rows. That is how PEFT arranges PyWavelets' bands, and adapters depend on it.)
//!
//! With db1, L = 2, an atom is four entries of ±½:
//!
//! ```
//! use waveft_core::filter_bank::wavelets::DB1;
//! use waveft_core::geometry::{Atom, Geometry};
//! use waveft_core::matrix::MatrixMut;
//! use waveft_core::operator::DeltaWeight;
//! use waveft_core::sampling::Location;
//! use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};
//!
//! let layer = Geometry::new(4, 6, DB1.taps())?;
//! let place = [Location { row: 1, column: 3 }]; // the right half: columns 3, 4 and 5
//! let atoms = SortedAtoms::new(layer, &place, [Atom::default(); 1], &mut [0])?;
//! let delta = DeltaWeight::new(SparseSpectrum::new(&atoms, &[2.0])?, Some(DB1.double()), 1.0)?;
//!
//! let mut update = [0.0; 4 * 6];
//! delta.write(&mut MatrixMut::new(&mut update, 4, 6)?)?;
//! let expected = [
//!     0.0, 0.0, 0.0, 0.0, 0.0, 0.0, //
//!     0.0, 0.0, 0.0, 0.0, 0.0, 0.0, //
//!     1.0, 1.0, 0.0, 0.0, 0.0, 0.0, //
//!     -1.0, -1.0, 0.0, 0.0, 0.0, 0.0,
//! ];
//! assert!(update.iter().zip(expected).all(|(x, y): (&f64, f64)| (x - y).abs() < 1e-15));
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! So `ΔW` costs `n · L²` multiply-adds, whatever `M` and `N` are, and [`add`](crate::operator::DeltaWeight::add) touches nothing
//! else of the weight. PEFT transforms all of `S`.
//!
//! # Where the coefficients are
//! They are where a seed puts them: the first `n` numbers of a random permutation of all `M · N` places, which is torch's,
//! bit for bit. A file holds the coefficients alone, in this order; their places are drawn again.
//!
//! ```
//! use waveft_core::sampling::{Location, locations, scratch_len};
//!
//! let mut places = [Location::default(); 3];
//! let mut scratch = [0; scratch_len(4096 * 4096, 3)];
//! locations(4096, 4096, 777, &mut places, &mut scratch)?;
//! assert_eq!(places[0], Location { row: 335, column: 2151 });
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! The operator takes atoms from the weight's top to its bottom, so they are [sorted](crate::spectrum) once, and coefficients
//! are brought into this order and back.
//!
//! # Tokens, without ΔW
//! A layer maps a token `x` to `y = x Wᵀ`. The adapter's part, `x ΔWᵀ`, needs no `ΔW`:
//!
#![doc = include_str!("products.svg")]
//!
//! `Cᵀ` and `Rᵀ` are forward wavelet transforms. [`apply`](crate::operator::DeltaWeight::apply) goes from left to right,
//! [`backward`](crate::operator::DeltaWeight::backward) from right to left, and gives the gradient of every coefficient on the
//! way: a product of two numbers, summed over the tokens.
//!
//! ```
//! use waveft_core::array::{Array, ArrayMut};
//! # use waveft_core::filter_bank::wavelets::DB2;
//! # use waveft_core::geometry::{Atom, Geometry};
//! # use waveft_core::operator::DeltaWeight;
//! # use waveft_core::sampling::Location;
//! # use waveft_core::spectrum::{SortedAtoms, SparseSpectrum};
//! # let layer = Geometry::new(4, 6, DB2.taps())?;
//! # let places = [Location { row: 1, column: 3 }, Location { row: 2, column: 0 }];
//! # let atoms = SortedAtoms::new(layer, &places, [Atom::default(); 2], &mut [0; 2])?;
//! let coefficients = [0.5, -1.0];
//! let delta = DeltaWeight::new(SparseSpectrum::new(&atoms, &coefficients)?, Some(DB2.double()), 25.0)?;
//!
//! let x = [1.0, 0.5, -2.0, 0.0, 1.0, 3.0]; // one token
//! let mut y = [0.0; 4];
//! let mut scratch = vec![0.0; delta.backward_scratch_len()];
//! delta.apply(&Array::new(&x, [1, 6])?, &mut ArrayMut::new(&mut y, [1, 4])?, &mut scratch)?;
//!
//! // Of the loss ½ |y|², whose gradient by y is y.
//! let (mut dx, mut gradient) = ([0.0; 6], [0.0; 2]);
//! delta.backward(
//!     &Array::new(&x, [1, 6])?,
//!     &Array::new(&y, [1, 4])?,
//!     &mut ArrayMut::new(&mut dx, [1, 6])?,
//!     &mut gradient,
//!     &mut scratch,
//! )?;
//! // y is linear in the coefficients, so the gradient along them is twice the loss; and y is linear in x.
//! let twice_the_loss: f64 = y.iter().map(|y| y * y).sum();
//! let along_coefficients: f64 = gradient.iter().zip(coefficients).map(|(g, c)| g * c).sum();
//! let along_x: f64 = dx.iter().zip(x).map(|(d, x)| d * x).sum();
//! assert!(twice_the_loss > 1.0);
//! assert!((along_coefficients - twice_the_loss).abs() < 1e-12 * twice_the_loss);
//! assert!((along_x - twice_the_loss).abs() < 1e-12 * twice_the_loss);
//! # Ok::<(), waveft_core::Error>(())
//! ```
//!
//! # Which wavelet
//! PEFT's default is db1. A longer filter has smoother and larger atoms: `L` is 2 for db1, 8 for db4, 16 for sym8, and the cost
//! of an update grows with `L²`. `use_idwt = false` is no wavelet at all: a coefficient is an entry of `ΔW` itself, and for us a
//! filter of one tap.
