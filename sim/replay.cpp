// A memory without an accelerator: what it delivers for a sequence of requests to a consumer that is always ready.

#include "memory.hpp"

namespace {

// Asks in the order of the list, one burst a cycle, with at most `outstanding` reads in flight; writes data a beat a cycle.
class Replay {
  public:
    Replay(const DramParameters& parameters, const Request* requests, uint64_t count, int64_t outstanding, bool timed,
           uint64_t* finished)
        : memory_(parameters), requests_(requests), count_(count), outstanding_(outstanding), timed_(timed),
          finished_(finished) {}

    // Returns the cycles until the last beat and response are taken.
    uint64_t run() {
        uint64_t now = 0;
        for (; next_ < count_ || !memory_.idle(); now++) cycle(now);
        return now;
    }
    const DramCounters& counters() const { return memory_.counters(); }

  private:
    void cycle(uint64_t now) {
        const Memory::Burst* beat = memory_.beat(now);
        bool response = memory_.response(now), data = memory_.takes_data();
        ask(now);
        if (data) memory_.take_data(now, 0);
        if (response) {
            finished_[written_.front()] = now;
            written_.pop_front();
            memory_.take_response();
        }
        if (beat) {
            std::deque<uint64_t>& waiting = reading_[beat->id];
            finished_[waiting.front()] = now;
            if (beat->beats == 1) waiting.pop_front(), in_flight_--;
            memory_.take_beat();
        }
    }

    void ask(uint64_t now) {
        if (next_ == count_ || (timed_ && requests_[next_].cycle > now)) return;
        const Request& request = requests_[next_];
        if (request.write) {
            if (!memory_.takes_write()) return;
            memory_.write(now, request.address, request.beats, request.id);
            written_.push_back(next_++);
        } else {
            if (!memory_.takes_read() || in_flight_ == outstanding_) return;
            memory_.read(now, request.address, request.beats, request.id);
            while (request.id >= reading_.size()) reading_.emplace_back();
            reading_[request.id].push_back(next_++);
            in_flight_++;
        }
    }

    Memory memory_;
    const Request* requests_;
    uint64_t count_, next_ = 0;
    int64_t outstanding_, in_flight_ = 0;
    bool timed_;
    uint64_t* finished_;
    std::vector<std::deque<uint64_t>> reading_;  // requests under way, by id
    std::deque<uint64_t> written_;
};

}  // namespace

extern "C" {
const char* celosia_dram_fields() { return kDramFields; }
const char* celosia_dram_counters() { return kDramCounters; }

// `timed`: no request before its cycle. `finished`: per request, the cycle of its last beat or of its response.
uint64_t celosia_replay(const DramParameters* parameters, const Request* requests, uint64_t count, int64_t outstanding,
                        int timed, uint64_t* finished, DramCounters* counters) {
    Replay replay(*parameters, requests, count, outstanding, timed, finished);
    uint64_t cycles = replay.run();
    *counters = replay.counters();
    return cycles;
}
}
