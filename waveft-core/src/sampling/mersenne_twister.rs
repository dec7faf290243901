//! MT19937 as torch seeds it, a block of 624 words at a time.

/// Words of the state, and of a block.
pub(crate) const WORDS: usize = 624;
/// Distance to the word that a new one is combined with.
const SHIFT: usize = 397;

/// The generator behind torch's CPU tensors: MT19937 (Matsumoto and Nishimura, 1998), 32 bits a
/// draw, seeded with the low 32 bits of a 64-bit seed. 2.5 KB.
///
/// ```
/// let mut generator = waveft_core::sampling::MersenneTwister::new(5489);
/// assert_eq!(generator.next_u32(), 3499211612);
/// ```
#[derive(Clone, Debug)]
pub struct MersenneTwister {
    state: [u32; WORDS],
    used: usize,
}

impl MersenneTwister {
    /// Seeds the generator as `torch.Generator.manual_seed(seed)` does; a negative seed is its
    /// two's complement.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Made where it stays, for it is large.
        let mut generator = Self {
            state: [0; WORDS],
            used: WORDS,
        };
        let mut word = seed as u32;
        generator.state[0] = word;
        for (i, entry) in (1..).zip(&mut generator.state[1..]) {
            word = (word ^ (word >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i);
            *entry = word;
        }
        generator
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used >= WORDS {
            self.refill();
        }
        let word = self.state.get(self.used).copied();
        self.used += 1;
        temper(word.unwrap_or_default())
    }

    /// A function of its own, for there is one for several shuffles.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        twist(&mut self.state);
        self.used = 0;
    }

    /// The next 624 draws of a generator of which a whole number of blocks was used.
    #[inline(always)]
    pub(crate) fn next_block(&mut self, block: &mut [u32; WORDS]) {
        twist(&mut self.state);
        for (draw, word) in block.iter_mut().zip(&self.state) {
            *draw = temper(*word);
        }
    }
}

/// Replaces the state by the next one. Written as three runs whose reads lie whole vectors away
/// from their writes, so that the compiler vectorises each.
#[inline(always)]
fn twist(state: &mut [u32; WORDS]) {
    let (head, tail) = state.split_at_mut(WORDS - SHIFT);
    // Words 0..227 take old words 397.., which are `tail` from 170 on.
    for i in 0..head.len() - 1 {
        head[i] = tail[2 * SHIFT - WORDS + i] ^ mix(head[i], head[i + 1]);
    }
    let last = head.len() - 1;
    head[last] = tail[SHIFT - 1] ^ mix(head[last], tail[0]);
    // Words 227..454 take new words 0..227.
    let (middle, end) = tail.split_at_mut(WORDS - SHIFT);
    for i in 0..middle.len() - 1 {
        middle[i] = head[i] ^ mix(middle[i], middle[i + 1]);
    }
    middle[last] = head[last] ^ mix(middle[last], end[0]);
    // Words 454..623 take new words 227..; the last one wraps around to the old first.
    let last = end.len() - 1;
    for i in 0..last {
        end[i] = middle[i] ^ mix(end[i], end[i + 1]);
    }
    end[last] = middle[last] ^ mix(end[last], head[0]);
}

/// The top bit of one word and the rest of the next, times the twist matrix.
#[inline(always)]
fn mix(word: u32, next: u32) -> u32 {
    let bits = (word & 0x8000_0000) | (next & 0x7FFF_FFFF);
    (bits >> 1) ^ ((bits & 1).wrapping_neg() & 0x9908_B0DF)
}

#[inline(always)]
fn temper(mut word: u32) -> u32 {
    word ^= word >> 11;
    word ^= (word << 7) & 0x9D2C_5680;
    word ^= (word << 15) & 0xEFC6_0000;
    word ^ (word >> 18)
}
