// What every cycle of a job was for, and who worked when: counted here, cycle by cycle, for `celosia bench`.
//
// Two ledgers, of the read bus and of the array, put each cycle into one class: the lowest set bit of the device's
// `trace_bus` and `trace_array`, or the class behind the last bit if none is set (docs/bench.md). Memory is bounded: counts
// per instruction, a fixed number of buckets along the time that are merged in pairs when they run out, and intervals up to a limit.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

constexpr int kClasses = 20;
constexpr int kOwners = 256;
constexpr uint32_t kNobody = 255;  // owner of cycles in which no instruction runs
constexpr int kBuckets = 4096;
constexpr uint64_t kMostIntervals = 1 << 20;

// Units of the timeline; those before the softmax execute instructions.
enum Unit { kEmbedding, kVector, kMatrix, kAttention, kRowReader, kRowWriter, kSoftmax, kWriter, kUnits };

// What a unit was doing from cycle `begin` to before `end`, counted from the start of the ledger.
struct __attribute__((packed)) Interval {
    uint64_t begin;
    uint64_t end;
    uint32_t unit;
    uint32_t index;
    uint32_t layer;
    uint32_t chunk;
};

// The state of one of the sequencer's queues in a cycle.
struct Running {
    uint32_t active;
    uint32_t index;
    uint32_t layer;
    uint32_t chunk;
};

struct Counts {
    uint64_t cycles = 0;
    uint64_t samples = 0;
    uint64_t dropped = 0;  // intervals that found no room
    uint64_t bucket_cycles = 1;
    uint64_t bus[kOwners][kClasses] = {};
    uint64_t array[kOwners][kClasses] = {};
    uint64_t busy[kUnits][kOwners] = {};
    uint32_t bus_buckets[kBuckets][kClasses] = {};
    uint32_t array_buckets[kBuckets][kClasses] = {};
};

class Ledger {
  public:
    Counts counts;
    std::vector<Interval> intervals;
    bool watching = false;

    // Starts anew. Counts the cycles of a job from the sample `first` (0: from its start) to the sample `last` (0: to its end).
    void watch(uint64_t first, uint64_t last) {
        counts = Counts();
        intervals.clear();
        for (Interval& open : open_) open = {};
        pages_ = 0;
        scoring_ = false;
        first_ = first, last_ = last;
        watching = true;
    }

    template <typename Top>
    void record(const Top& top) {
        if (!top.trace_busy) return close();
        bool inside = counts.samples >= first_ && (last_ == 0 || counts.samples < last_);
        // The softmax is followed all the time, so that its state is right when the window opens.
        bool softmax = softmax_works(top.trace_softmax);
        if (inside) {
            Running embedding{top.trace_embedding_active, top.trace_embedding_index, top.trace_embedding_layer,
                              top.trace_embedding_chunk};
            Running vector{top.trace_vector_active, top.trace_vector_index, top.trace_vector_layer,
                           top.trace_vector_chunk};
            Running engine{top.trace_engine_active, top.trace_engine_index, top.trace_engine_layer,
                           top.trace_engine_chunk};
            Running store{top.trace_store_active, top.trace_store_index, top.trace_store_layer, top.trace_store_chunk};
            uint32_t owner = engine.active ? engine.index
                             : vector.active ? vector.index
                             : embedding.active ? embedding.index
                             : store.active ? store.index : kNobody;
            count(owner, class_of(top.trace_bus), class_of(top.trace_array));
            bool matrix = engine.active & kMatrixBit;
            bool rows = embedding.active & kRowReaderBit;
            follow(kEmbedding, embedding.active && !rows, embedding);
            follow(kRowReader, embedding.active && rows, embedding);
            follow(kRowWriter, store.active, store);
            follow(kVector, vector.active, vector);
            follow(kMatrix, engine.active && matrix, engine);
            follow(kAttention, engine.active && !matrix, engine);
            follow(kSoftmax, softmax, engine);
            follow(kWriter, top.trace_writer, {0, kNobody, 0, 0});
            counts.cycles++;
        } else {
            close();
        }
        if (top.trace_sample) counts.samples++;
    }

    // Ends what is open, at the end of the job or before its intervals are read.
    void close() {
        for (Interval& open : open_) end(open);
    }

  private:
    static constexpr uint32_t kMatrixBit = 1 << 2, kRowReaderBit = 1 << 5;  // of UNITS of hdl/control/decode.py

    static int class_of(uint32_t conditions) { return conditions ? __builtin_ctz(conditions) : -1; }

    void count(uint32_t owner, int bus, int array) {
        if (bus < 0) bus = kClasses - 1;
        if (array < 0) array = kClasses - 1;
        counts.bus[owner & 255][bus]++;
        counts.array[owner & 255][array]++;
        if (counts.cycles == counts.bucket_cycles * kBuckets) merge();
        uint64_t bucket = counts.cycles / counts.bucket_cycles;
        counts.bus_buckets[bucket][bus]++;
        counts.array_buckets[bucket][array]++;
    }

    void merge() {
        for (auto* buckets : {counts.bus_buckets, counts.array_buckets}) {
            for (int i = 0; i < kBuckets; i++)
                for (int c = 0; c < kClasses; c++) {
                    uint32_t sum = i < kBuckets / 2 ? buckets[2 * i][c] + buckets[2 * i + 1][c] : 0;
                    buckets[i][c] = sum;
                }
        }
        counts.bucket_cycles *= 2;
    }

    // Scores of a page begin its work; it ends when nothing is left of the pages whose scores are complete.
    bool softmax_works(uint32_t events) {
        bool scores = events & 1, in = events & 2, out = events & 4;
        pages_ += int(in) - int(out);
        if (scores || in) scoring_ = true;
        bool works = scoring_ || out;
        if (out && pages_ <= 0 && !scores) scoring_ = false;
        return works;
    }

    void follow(Unit unit, bool works, const Running& running) {
        Interval& open = open_[unit];
        bool same = open.end && open.index == running.index && open.layer == running.layer && open.chunk == running.chunk;
        if (open.end && !(works && same)) end(open);
        if (!works) return;
        counts.busy[unit][running.index & 255]++;
        if (!open.end) open = {counts.cycles, 0, uint32_t(unit), running.index, running.layer, running.chunk};
        open.end = counts.cycles + 1;
    }

    void end(Interval& open) {
        if (!open.end) return;
        if (intervals.size() < kMostIntervals)
            intervals.push_back(open);
        else
            counts.dropped++;
        open.end = 0;
    }

    Interval open_[kUnits] = {};
    uint64_t first_ = 0, last_ = 0;
    int pages_ = 0;
    bool scoring_ = false;
};
