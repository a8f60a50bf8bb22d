//! Split rows as scikit-learn's `train_test_split` does with a seed: by NumPy's legacy permutation from the Mersenne Twister.

use rand_mt::Mt;

/// `numpy.random.RandomState(seed).permutation(count)`: Fisher & Yates from the end, with numbers masked to the bits of the largest
/// index and drawn again where they exceed it.
fn permutation(seed: u32, count: u32) -> Vec<usize> {
    let mut generator = Mt::new(seed);
    let mut order: Vec<usize> = (0..count as usize).collect();
    for last in (1..count).rev() {
        let mask = u32::MAX >> last.leading_zeros();
        let other = loop {
            let number = generator.next_u32() & mask;
            if number <= last {
                break number;
            }
        };
        order.swap(last as usize, other as usize);
    }
    order
}

/// Training and test rows of `train_test_split(range(count), test_size=1/5, random_state=seed)`.
pub(crate) fn train_test_split(seed: u32, count: u32) -> (Vec<usize>, Vec<usize>) {
    let order = permutation(seed, count);
    let (test, train) = (count.div_ceil(5) as usize, (count * 4 / 5) as usize);
    (order[test..test + train].to_vec(), order[..test].to_vec())
}

/// Whether permutations and splits are those of NumPy 2.4 and scikit-learn 1.9.
pub(crate) fn is_numpys() -> bool {
    let (train, test) = train_test_split(0, 1503);
    permutation(0, 10) == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
        && (train.len(), test.len()) == (1202, 301)
        && test[..8] == [968, 9, 1468, 1150, 880, 202, 122, 984]
        && train[..8] == [1058, 408, 703, 1279, 140, 632, 477, 39]
}
