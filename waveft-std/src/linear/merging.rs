//! Adapters merged into a live weight, taken out again to the bit, and swapped.

use super::WaveFtLinear;
use super::weight::Weight;
use crate::error::Result;

/// Merging into a weight that is not owned copies it first, once. What is overwritten is kept: `n · L²` elements an adapter, of which the
/// memory stays for the next merge.
impl WaveFtLinear<Weight<'_>> {
    /// Adds the updates of some adapters to the weight, one after the other, each rounded to the weight's type as PEFT's merge
    /// rounds it. They come after those that are merged already.
    ///
    /// Until [`unmerge`](Self::unmerge) the layer is its weight and its bias: adapters cannot be chosen, changed or trained.
    /// Cost: `O(n · L²)` an adapter.
    ///
    /// # Errors
    /// With nothing changed: if there is no adapter of a name, one comes twice or is merged already, or one is for a weight stored
    /// the other way round (`fan_in_fan_out`).
    pub fn merge(&mut self, names: &[&str]) -> Result<()> {
        let mut merged = self.merged.clone();
        for name in names {
            let index = self.index_to_merge(name)?;
            if merged.contains(&index) {
                return Err(self.unfit(
                    "adapters that are not merged yet",
                    format!("{name:?} twice"),
                ));
            }
            merged.push(index);
        }
        for index in merged.split_off(self.merged.len()) {
            self.add(index)?;
        }
        Ok(())
    }

    /// Takes all merged adapters out: every bit of the weight is as before. Does nothing if there is none.
    ///
    /// # Errors
    /// None that can come about.
    pub fn unmerge(&mut self) -> Result<()> {
        while let Some(&index) = self.merged.last() {
            let adapter = &self.adapters[index];
            let undone = self.base.undo(&adapter.delta()?);
            undone.map_err(|source| adapter.refused(source))?;
            self.merged.pop();
        }
        Ok(())
    }

    /// Makes the weight that of one adapter, or the bare base's for `None`: [`unmerge`](Self::unmerge), then
    /// [`merge`](Self::merge). Allocates nothing once the memory of the longest record is there.
    ///
    /// # Errors
    /// Those of [`merge`](Self::merge), with nothing changed.
    pub fn switch_to(&mut self, name: Option<&str>) -> Result<()> {
        let index = name.map(|name| self.index_to_merge(name)).transpose()?;
        self.unmerge()?;
        index.map_or(Ok(()), |index| self.add(index))
    }

    /// The names of the merged adapters, in the order in which they were added.
    pub fn merged(&self) -> impl ExactSizeIterator<Item = &str> {
        self.merged.iter().map(|&index| self.adapters[index].name())
    }

    fn index_to_merge(&self, name: &str) -> Result<usize> {
        let index = self.index(name)?;
        let is_transposed = |is| {
            if is {
                "inputs x outputs"
            } else {
                "outputs x inputs"
            }
        };
        let [expected, found] = [
            self.adapters[index].is_fan_in_fan_out(),
            self.base.is_fan_in_fan_out(),
        ];
        if expected != found {
            let expected = format!("a weight stored {} for {name:?}", is_transposed(expected));
            return Err(self.unfit(expected, is_transposed(found)));
        }
        Ok(index)
    }

    fn add(&mut self, index: usize) -> Result<()> {
        let adapter = &self.adapters[index];
        let added = self.base.add(&adapter.delta()?);
        added.map_err(|source| adapter.refused(source))?;
        self.merged.push(index);
        Ok(())
    }
}
