# The C side of the nouns: plain structs over the arrays of Rows, Layer, Selector and Workspace.
# A view borrows; the Python object must outlive it.
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef enum:
    PANEL = 32          # neurons scored together; the width of one block of a sketch
    TOGETHER = 32       # examples scored while a panel is in the cache
    LINE = 8            # columns of a dense row that may be blank together, as in simd.h

cdef enum Activation:
    RELU, LEAKY_RELU, TANH, LOGISTIC, IDENTITY

cdef enum SelectorKind:
    DENSE, TOPK, SKETCH, TABLES, SAMPLED, EXPECTED, SHARED

cdef enum OptimizerKind:
    ADAM, SGD, ADAGRAD


cdef struct Row:                        # one example
    const int32_t* indices              # NULL: every column, in order
    const float* values
    int32_t length
    const int32_t* lines                # dense: the columns where its lines begin
    int32_t n_lines


cdef struct RowsView:
    int64_t* start                      # (n,) offset of each row in indices and values
    int32_t* length                     # (n,)
    int32_t* indices                    # NULL: dense rows
    float* values
    int32_t* lines                      # of row i from start[i] / LINE on; NULL: not listed
    int32_t* n_lines                    # (n,)
    Py_ssize_t n


cdef struct SelectorView:
    SelectorKind kind
    int32_t n_out
    int32_t n_active
    int32_t n_shortlisted               # kept by their scores; by pre-activation, n_active of them
    bint by_magnitude                   # rank by |score|: activations that respond to both signs
    bint scores_all                     # goes by the pre-activations of all neurons
    bint adaptive                       # SAMPLED, EXPECTED: the likelier, the larger
    uint64_t draw                       # SAMPLED, SHARED: which of its random sets
    int32_t n_random                    # SHARED: labels drawn for a batch, besides its own
    int32_t n_kept                      # EXPECTED: size of those sets
    # query: q = directions' x
    int32_t rank
    const float* directions             # (n_in, rank); NULL:
    const float* scales                 # (n_in,) q = scales * x; or NULL too:
    const int32_t* plane_start          # (n_in + 1,) the entries of each of its rows are listed
    const int32_t* plane_columns
    const float* plane_values
    # sketch of every neuron: score_j = sketch_j . q + offset_j; SKETCH rounds both to 8 bits
    const signed char* sketches         # SKETCH: (n_panels, (rank + 3) // 4, PANEL, 4)
    const int32_t* sketch_starts        # SKETCH: (n_panels * PANEL,)
    const float* rows                   # TABLES: (n_out, rank); NULL: candidates ranked exactly
    const float* offsets                # (n_panels * PANEL,) padded with 0
    const float* log_chance             # SHARED: (n_out,) of being among them
    # SKETCH may file neurons at places of their own, by the lengths that their codes tell. limits:
    # (2, n_chunks), the largest length and offset from a chunk on
    const int32_t* order                # (n_out,) the neuron of each place; NULL: as they are
    const float* lengths                # (n_out,) by place
    const float* limits
    # tables: scores h = hyperplanes' q + shift; the best of each group is a hash value, n_hashes of
    # them make the bucket
    int32_t n_tables
    int32_t n_hashes
    int32_t group
    bint is_signed
    int32_t n_buckets
    int32_t n_probes
    int32_t n_candidates
    int32_t n_sets
    const int32_t* sets                 # (n_sets, 2) of alternatives, by likelihood
    const float* hyperplanes            # (rank, n_tables * n_hashes * group); NULL: h = q + shift
    const float* shift                  # (n_tables * n_hashes * group,)
    const int32_t* bucket_start         # (n_tables, n_buckets + 1)
    const int32_t* neurons              # (n_tables, n_out)


cdef struct LayerView:
    float* W                            # (n_out, stride), row = neuron; or (n_in, stride)
    bint by_input
    float* b                            # (n_out,)
    int64_t stride
    int32_t n_in
    int32_t n_out
    Activation activation
    float* slots[2]                     # optimiser state, shaped like W; NULL where unused
    float* bias_slots[2]
    unsigned char* changed              # (n_out,) 1: stepped since the selector was refreshed
    SelectorView selector


cdef struct Pairs:                      # (neuron, row) pairs of a layer's outputs, by neuron
    int32_t n_out
    int32_t block                       # rows in a block
    int64_t room                        # pairs a row may have
    int32_t runs_room                   # neurons a block may hold
    int32_t* n_runs                     # (n_blocks,) neurons it holds; NULL: all
    int32_t* neurons                    # (n_blocks, runs_room) ascending; NULL: all
    int32_t* start                      # (n_blocks, runs_room + 1); NULL: every row holds them
    int32_t* rows                       # (n_rows * room); every row's number where start is NULL
    int32_t* slots                      # (n_rows * room) place of the neuron in its row


cdef struct Whole:                      # a layer as matrices; views of no values: not so
    RowsView x                          # all inputs of every row
    RowsView z                          # pre-activations of all that a row may hold
    RowsView d                          # their deltas


cdef struct StepView:
    OptimizerKind kind
    float rate
    float beta1                         # momentum under SGD
    float beta2
    float epsilon
    bint nesterov


cdef struct Scratch:                    # one thread's share of a Workspace
    float* scores                       # (TOGETHER, stride); or of a row or a sample (max n_out,)
    int64_t stride                      # with room to round up to whole panels
    int32_t* best_ids                   # (TOGETHER, 2 k + CHUNK) by sketches; or of a row
    float* best_scores
    float* edge_scores                  # (max n_out,)
    unsigned char* bins                 # (max n_out, padded to 64)
    float* queries                      # (TOGETHER, max rank)
    unsigned char* query_codes          # (TOGETHER, max rank, padded to 4)
    int32_t* kept                       # (max n_in + 1,) columns or lines of the inputs
    float* projections                  # (max n_tables * n_hashes * group)
    int32_t* ids                        # (max n_out + 1) candidates; or places in a list, by neuron
    int32_t* positions                  # (max n_out + 1)
    int32_t* edge                       # (max n_out + 1)
    int32_t* probes                     # (max n_tables * n_probes)
    int32_t* set_buckets                # (max n_sets)
    int32_t* set_owners
    uint64_t* seen                      # bitmaps over neurons, zero between uses
    uint64_t* edge_bits
    float* products                     # (n_rows,) of one neuron
    int32_t* shared                     # (most_active,) of the output: labels of the batch at hand
    int32_t* cursors                    # (n_blocks,)
    int32_t* heads                      # (n_in,) the first entry of an input, 0 between uses
    int32_t* inputs                     # (n_in,) those that have entries
    int32_t* nexts                      # the entry after; 0: none
    int32_t* entry_rows
    float* entry_values
    int32_t* examples                   # (n_rows,) of one neuron, and their deltas
    double* deltas
    double* sums                        # (max n_in,) -0.0 between uses
    float* packed                       # (4, max n_in) of a neuron; or an input's non-zero values
    float* tile                         # (4, n_rows) deltas of four neurons
    float* wide                         # (block, max n_in) deltas of all inputs


cdef void* data(array, char kind, int size) except? NULL
cdef float* floats(array) except? NULL
cdef RowsView rows_view(rows) except *
cdef LayerView layer_view(layer) except *
cdef Pairs pairs_view(pairs) except *
cdef Whole whole_view(whole) except *
cdef StepView step_view(step) except *
cdef Scratch* scratch_views(workspace) except NULL


cdef inline Row row_at(const RowsView* rows, Py_ssize_t i) noexcept nogil:
    cdef Row row
    cdef int64_t start = rows.start[i]
    row.indices = rows.indices + start if rows.indices != NULL else NULL
    row.values = rows.values + start
    row.length = rows.length[i]
    if rows.lines != NULL:
        row.lines = rows.lines + start // LINE
        row.n_lines = rows.n_lines[i]
    return row


cdef inline int32_t n_stored(const Row* row) noexcept nogil:
    """Values of a row, the tail of a dense one included."""
    return row.length if row.indices != NULL else LINE * row.n_lines + row.length % LINE


cdef inline int32_t column_at(const Row* row, int32_t k) noexcept nogil:
    if row.indices != NULL:
        return row.indices[k]
    if k // LINE < row.n_lines:
        return row.lines[k // LINE] + k % LINE
    return row.length - row.length % LINE + k % LINE


cdef inline int place_of(const int32_t* ascending, int begin, int end,
                         int32_t value) noexcept nogil:
    """Of a value that is among those of [begin, end)."""
    cdef int middle
    while end - begin > 1:
        middle = (begin + end) // 2
        if ascending[middle] <= value:
            begin = middle
        else:
            end = middle
    return begin
