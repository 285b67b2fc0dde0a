// The AXI4 side of the memory: which request is taken, and when its beats and responses come. It holds no data.
//
// Beats of one id come in the order of their addresses; of several ids whose next beat is ready the oldest burst goes first.
// Reads are timed when their address is taken, writes when their last beat is. A cycle costs a look at the head of each queue.

#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "dram.hpp"

// One burst; Python reads a list of them as a structured array. `cycle`: when its address was taken.
struct __attribute__((packed)) Request {
    uint64_t address;
    uint64_t cycle;
    uint32_t beats;
    uint16_t id;
    uint16_t write;
};

class Memory {
  public:
    // A burst under way: the address of its next beat, the beats left, and its place in the order of arrival.
    struct Burst {
        uint64_t address;
        uint32_t beats;
        uint32_t id;
        uint64_t order;
        uint64_t ready;  // of a response: the first cycle in which it may be given
        uint32_t error;  // of a response
    };

    explicit Memory(const DramParameters& p) : p_(p), dram_(p) {}

    bool takes_read() const { return reads_ < p_.read_queue; }
    bool takes_write() const { return int64_t(writes_.size() + responses_.size()) < p_.write_queue; }
    // Data may not come before its address: the burst that it belongs to says where it goes.
    bool takes_data() const { return !writes_.empty(); }

    // A read address is taken in cycle `now`.
    void read(uint64_t now, uint64_t address, uint32_t beats, uint32_t id) {
        note(now, address, beats, id, false);
        while (id >= queues_.size()) queues_.emplace_back();
        Queue& queue = queues_[id];
        queue.bursts.push_back({address, beats, id, arrived_++, 0, 0});
        reads_++;
        int64_t last = -1;
        uint64_t ready = 0;
        for (uint64_t beat = address; beats > 0; beats--, beat += p_.bus_bytes) {
            for (int64_t access = part(beat); access <= part(beat + p_.bus_bytes - 1); access++)
                if (access > last) ready = std::max(ready, done(now, access, false)), last = access;
            queue.ready.push_back(p_.channels ? ready : now + p_.latency_cycles);
        }
    }

    void write(uint64_t now, uint64_t address, uint32_t beats, uint32_t id) {
        note(now, address, beats, id, true);
        writes_.push_back({address, beats, id, 0, 0, 0});
        first_ = writes_.size() == 1 ? address : first_;
    }

    // The write burst whose next beat is taken.
    const Burst& writing() const { return writes_.front(); }

    // A beat of it is taken in cycle `now`; `error`: its response so far, 0 or the code of AXI.
    void take_data(uint64_t now, uint32_t error) {
        Burst& burst = writes_.front();
        counters_.write_beats++;
        error_ = error ? error : error_;
        burst.address += p_.bus_bytes;
        if (--burst.beats) return;
        burst.ready = now + 1;
        if (p_.channels)
            for (int64_t access = part(first_); access <= part(burst.address - 1); access++)
                burst.ready = std::max(burst.ready, done(now, access, true));
        burst.error = error_;
        error_ = 0;
        responses_.push_back(burst);
        writes_.pop_front();
        if (!writes_.empty()) first_ = writes_.front().address;
    }

    // The response on the B channel in cycle `now`, or null.
    const Burst* response(uint64_t now) const {
        return !responses_.empty() && responses_.front().ready <= now ? &responses_.front() : nullptr;
    }
    void take_response() { responses_.pop_front(); }

    // The burst whose next beat is on the R channel in cycle `now`, or null; it stays there until it is taken.
    const Burst* beat(uint64_t now) {
        if (chosen_) return &chosen_->bursts.front();
        for (Queue& queue : queues_)
            if (!queue.ready.empty() && queue.ready.front() <= now && (!chosen_ || queue.before(*chosen_)))
                chosen_ = &queue;
        return chosen_ ? &chosen_->bursts.front() : nullptr;
    }
    void take_beat() {
        Queue& queue = *chosen_;
        chosen_ = nullptr;
        counters_.read_beats++;
        queue.ready.pop_front();
        queue.bursts.front().address += p_.bus_bytes;
        if (--queue.bursts.front().beats) return;
        queue.bursts.pop_front();
        reads_--;
    }

    bool idle() const { return reads_ == 0 && writes_.empty() && responses_.empty(); }
    const DramCounters& counters() const { return counters_; }

    bool recording = false;
    std::vector<Request> requests;

  private:
    struct Queue {
        std::deque<Burst> bursts;
        std::deque<uint64_t> ready;  // of each beat of them
        bool before(const Queue& other) const { return bursts.front().order < other.bursts.front().order; }
    };

    int64_t part(uint64_t address) const { return p_.channels ? int64_t(address / p_.access_bytes) : 0; }

    // The first cycle in which the outcome of an access that is asked for in cycle `now` is at the port.
    uint64_t done(uint64_t now, int64_t access, bool write) {
        if (!p_.channels) return 0;
        int64_t arrival = (now * p_.memory_khz + p_.accelerator_khz - 1) / p_.accelerator_khz;
        int64_t end = dram_.access(arrival, access * p_.access_bytes, write, counters_);
        return (end * p_.accelerator_khz + p_.memory_khz - 1) / p_.memory_khz + p_.latency_cycles;
    }

    void note(uint64_t now, uint64_t address, uint32_t beats, uint32_t id, bool write) {
        if (recording) requests.push_back({address, now, beats, uint16_t(id), uint16_t(write)});
    }

    DramParameters p_;
    Dram dram_;
    DramCounters counters_;
    std::deque<Queue> queues_;  // by id; a deque, since `chosen_` points into it while it grows
    Queue* chosen_ = nullptr;
    std::deque<Burst> writes_, responses_;
    int64_t reads_ = 0;
    uint64_t arrived_ = 0;
    uint64_t first_ = 0;  // address of the burst that is being written
    uint32_t error_ = 0;
};
