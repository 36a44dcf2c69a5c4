//! What it costs to add up or to hand round a vector over many ranks: the alpha-beta model, in which a message of n bytes
//! takes alpha + n / B, alpha being the link's latency and B its bandwidth.

/// What connects two neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Bytes a second that one side sends, while it receives as much.
    pub bandwidth: f64,
    /// Seconds before the first byte arrives.
    pub latency: f64,
}

/// What connects all ranks: links inside a node and, where there is more than one node, links between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interconnect {
    /// A rank's link to the others of its node.
    pub inside: Link,
    /// A node's link to the other nodes, which its ranks share; none where all ranks are on one level.
    pub between: Option<Link>,
    /// Ranks of a full node.
    pub ranks_per_node: usize,
}

/// How a vector is added up between nodes, or on the only level there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Pieces go round a ring: the least traffic, and a message for each rank.
    Ring,
    /// Two binary trees, each for half of the vector: nearly as little traffic, and messages for the logarithm of the ranks.
    Tree,
}

impl Link {
    /// Seconds of adding up pieces so that each of `ranks` has its piece of the sum: `(p - 1)(alpha + n / (p B))`, by a ring
    /// (Thakur, Rabenseifner and Gropp 2005, "Optimization of Collective Communication Operations in MPICH", section 4.4).
    /// Handing those pieces to everybody takes as long.
    fn reduce_scatter(&self, ranks: usize, bytes: f64) -> f64 {
        let ranks = ranks as f64;
        (ranks - 1.0) * (self.latency + bytes / (ranks * self.bandwidth))
    }

    /// The link by which a ring adds up vectors in the times that were measured: bytes and seconds of vectors of two lengths
    /// or more. By least squares of relative errors, so that short vectors tell the latency and long ones the bandwidth.
    pub fn fitted(ranks: usize, measured: &[(f64, f64)]) -> Self {
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            measured
                .iter()
                .map(|(bytes, seconds)| of(*bytes, *seconds))
                .sum()
        };
        // Of `fixed + each * bytes`, over the seconds, which should be 1.
        let (fixed_fixed, each_each) = (
            sum(&|_, seconds| seconds.powi(-2)),
            sum(&|bytes, seconds| (bytes / seconds).powi(2)),
        );
        let both = sum(&|bytes, seconds| bytes / seconds.powi(2));
        let (fixed_one, each_one) = (
            sum(&|_, seconds| 1.0 / seconds),
            sum(&|bytes, seconds| bytes / seconds),
        );
        let determinant = fixed_fixed * each_each - both * both;
        let fixed = (fixed_one * each_each - each_one * both) / determinant;
        // No message takes less than no time.
        let (fixed, each) = match fixed > 0.0 {
            true => (
                fixed,
                (each_one * fixed_fixed - fixed_one * both) / determinant,
            ),
            false => (0.0, each_one / each_each),
        };
        let messages = 2.0 * (ranks as f64 - 1.0);
        Self {
            latency: fixed / messages,
            bandwidth: messages / (ranks as f64 * each),
        }
    }

    /// Seconds of adding up a vector for everybody, by the faster algorithm.
    ///
    /// By a ring it is a reduce-scatter and an all-gather: `2(p - 1) alpha + 2 (p - 1)/p n/B`, the least traffic that there can
    /// be (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations"). By two trees every
    /// rank sends the vector once up and once down, in pieces that follow one another: `2 log2(p) alpha + 2 n/B` (Sanders, Speck
    /// and Träff 2009, "Two-tree algorithms for full bandwidth broadcast, reduction and scan").
    fn all_reduce(&self, ranks: usize, bytes: f64) -> (f64, Algorithm) {
        let ring = 2.0 * self.reduce_scatter(ranks, bytes);
        let depth = f64::from(ranks.max(1).next_power_of_two().ilog2());
        let tree = 2.0 * (depth * self.latency + bytes / self.bandwidth);
        match ring <= tree {
            true => (ring, Algorithm::Ring),
            false => (tree, Algorithm::Tree),
        }
    }
}

impl Interconnect {
    /// Ranks of a node, and nodes, when there are so many ranks; a last node that isn't full counts as one.
    fn levels(&self, ranks: usize) -> (usize, usize) {
        match self.between {
            None => (ranks, 1),
            Some(_) => {
                let inside = self.ranks_per_node.min(ranks).max(1);
                (inside, ranks.div_ceil(inside))
            }
        }
    }

    /// Nodes that so many ranks fill.
    pub fn nodes(&self, ranks: usize) -> usize {
        self.levels(ranks).1
    }

    /// A node's link as one of its ranks has it while all of them send their share at once.
    fn shared(link: Link, inside: usize) -> Link {
        Link {
            bandwidth: link.bandwidth / inside as f64,
            ..link
        }
    }

    /// Seconds of adding up a vector of so many bytes for everybody: inside each node a reduce-scatter, then between the nodes
    /// an all-reduce of each rank's piece, then inside each node an all-gather. One level needs one all-reduce.
    pub fn all_reduce(&self, ranks: usize, bytes: f64) -> (f64, Algorithm) {
        let (inside, nodes) = self.levels(ranks);
        match self.between.filter(|_| nodes > 1) {
            None => self.inside.all_reduce(inside, bytes),
            Some(link) => {
                let piece = bytes / inside as f64;
                let (between, algorithm) = Self::shared(link, inside).all_reduce(nodes, piece);
                let local = 2.0 * self.inside.reduce_scatter(inside, bytes);
                (local + between, algorithm)
            }
        }
    }

    /// Seconds until each rank has its piece of the sum, or until all have all pieces: a reduce-scatter and an all-gather
    /// take the same time.
    pub fn reduce_scatter(&self, ranks: usize, bytes: f64) -> f64 {
        let (inside, nodes) = self.levels(ranks);
        let local = self.inside.reduce_scatter(inside, bytes);
        match self.between.filter(|_| nodes > 1) {
            None => local,
            Some(link) => {
                local + Self::shared(link, inside).reduce_scatter(nodes, bytes / inside as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link {
        bandwidth: 1e9,
        latency: 1e-5,
    };

    fn close(left: f64, right: f64) {
        assert!((left / right - 1.0).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn one_rank_waits_for_nobody() {
        for between in [None, Some(LINK)] {
            let interconnect = Interconnect {
                inside: LINK,
                between,
                ranks_per_node: 8,
            };
            assert_eq!(interconnect.all_reduce(1, 1e9).0, 0.0);
            assert_eq!(interconnect.reduce_scatter(1, 1e9), 0.0);
        }
    }

    /// By hand, 4 ranks and a gigabyte: a ring sends 6 quarters, two trees 2 wholes; of one byte the latencies are left.
    #[test]
    fn large_vectors_go_round_a_ring_and_small_ones_down_trees() {
        let flat = Interconnect {
            inside: LINK,
            between: None,
            ranks_per_node: 1,
        };
        let (seconds, algorithm) = flat.all_reduce(4, 1e9);
        close(seconds, 6.0 * (1e-5 + 0.25));
        assert_eq!(algorithm, Algorithm::Ring);
        let (seconds, algorithm) = flat.all_reduce(1_024, 1.0);
        close(seconds, 2.0 * (10.0 * 1e-5 + 1e-9));
        assert_eq!(algorithm, Algorithm::Tree);
        // Two are a ring and a tree alike: one message each way.
        close(flat.all_reduce(2, 1e9).0, 2.0 * (1e-5 + 0.5));
    }

    #[test]
    fn a_link_is_found_by_the_times_that_it_takes() {
        for ranks in [2, 4] {
            let ring = |bytes: f64| (bytes, 2.0 * LINK.reduce_scatter(ranks, bytes));
            let found = Link::fitted(ranks, &[4e3, 1e6, 1.6e7].map(ring));
            close(found.bandwidth, LINK.bandwidth);
            close(found.latency, LINK.latency);
        }
        // Faster at first than by the bandwidth alone: the latency is none.
        let found = Link::fitted(2, &[(1e3, 0.9e-6), (1e6, 1e-3), (1e7, 1e-2)]);
        assert_eq!(found.latency, 0.0);
        assert!((found.bandwidth / 1e9 - 1.0).abs() < 0.1);
    }

    /// By hand, 2 nodes of 4: inside 6 quarters, between 2 halves of a quarter for each rank, at a quarter of the bandwidth.
    #[test]
    fn nodes_add_up_inside_first() {
        let slow = Link {
            bandwidth: 1e8,
            latency: 1e-4,
        };
        let nodes = Interconnect {
            inside: LINK,
            between: Some(slow),
            ranks_per_node: 4,
        };
        assert_eq!([4, 8, 9].map(|ranks| nodes.nodes(ranks)), [1, 2, 3]);
        let inside = 6.0 * (1e-5 + 0.25);
        close(nodes.all_reduce(4, 1e9).0, inside);
        let between = 2.0 * (1e-4 + 0.125 / 0.025);
        close(nodes.all_reduce(8, 1e9).0, inside + between);
        // An all-reduce is a reduce-scatter and an all-gather.
        close(2.0 * nodes.reduce_scatter(8, 1e9), inside + between);
        // The same as if the node were one rank with the node's link, but for what happens inside.
        close(between, slow.all_reduce(2, 1e9).0);
    }
}
