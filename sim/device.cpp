// The RTL as a device: the verilated accelerator and a memory behind its AXI4 masters, driven through a C interface.
//
// One call runs many cycles; nothing of Python is in the clock loop. The masters are in port.hpp, the memory's timing is in
// memory.hpp. Every port is read and written as bytes: Verilator keeps a port little endian in words of 8 to 64 bits.

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vtop.h"
#include "ledger.hpp"
#include "port.hpp"
#include "ports.h"  // CHUNKS, WITH_TRACE, WITH_WAVES, WITH_GATES: written by the build
#include "verilated.h"
#if WITH_WAVES
#include "verilated_vcd_c.h"
#endif

double sc_time_stamp() { return 0; }

namespace {

// Fixed-size records, read by Python as structured arrays. A retirement says how far each list had grown.
template <typename Record>
using List = std::vector<Record>;

#if WITH_TRACE
struct __attribute__((packed)) ScratchpadWrite {
    uint32_t address;
    uint32_t mask;
    uint8_t data[sizeof(Vtop::trace_spm_0_data)];
};
struct __attribute__((packed)) ActivationWrite {
    uint32_t address;
    uint32_t banks;
    uint8_t data[sizeof(Vtop::trace_am_data)];
};
struct __attribute__((packed)) CacheWrite {
    uint8_t data[sizeof(Vtop::trace_kv_data)];
};
struct __attribute__((packed)) Retirement {
    uint32_t index;
    uint32_t layer;
    uint32_t pass;
    uint32_t scratchpad;
    uint32_t activation;
    uint32_t cache;
    uint64_t cycle;
};

// What one chunk wrote: between two of its retirements, the instruction that retires second.
struct Log {
    List<ScratchpadWrite> scratchpad;
    List<ActivationWrite> activation;
    List<CacheWrite> cache;
    List<Retirement> retired;
};
#endif

class Device {
  public:
    Device(uint64_t memory_bytes, const DramParameters& parameters) {
        bytes.data.resize(memory_bytes);
        context_.debug(0);
        context_.randReset(0);
#if WITH_WAVES
        context_.traceEverOn(true);
#endif
        top_ = std::make_unique<Vtop>(&context_, "top");
#define REFER(MASTER, PIN) top_->NAME(MASTER, PIN),
#define CONNECT(MASTER) ports.emplace_back(Pins{EACH_PIN(REFER, MASTER)}, int(ports.size()), parameters, bytes);
        EACH_MASTER(CONNECT)
        clock(0);
        cycle();
    }
    ~Device() {
#if WITH_WAVES
        if (waves_) waves_->close();
#endif
        top_->final();
    }

    uint64_t cycles() const { return cycles_; }

    // Returns 0, or -1 if the device did not answer within `kLimit` cycles, or -2 for an error response.
    int write(uint32_t offset, uint32_t value) {
        top_->s_axil_awaddr = offset;
        top_->s_axil_wdata = value;
        top_->s_axil_wstrb = 15;
        top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_bready = 1;
        bool address = false, data = false;
        for (int i = 0; i < kLimit; i++) {
            cycle();
            if (top_->s_axil_awvalid && top_->s_axil_awready) top_->s_axil_awvalid = 0, address = true;
            if (top_->s_axil_wvalid && top_->s_axil_wready) top_->s_axil_wvalid = 0, data = true;
            if (top_->s_axil_bvalid && address && data) {
                int response = top_->s_axil_bresp;
                top_->s_axil_bready = 0;
                cycle();
                return response ? -2 : 0;
            }
        }
        return -1;
    }

    int read(uint32_t offset, uint32_t* value) {
        top_->s_axil_araddr = offset;
        top_->s_axil_arvalid = top_->s_axil_rready = 1;
        for (int i = 0; i < kLimit; i++) {
            cycle();
            if (top_->s_axil_arvalid && top_->s_axil_arready) top_->s_axil_arvalid = 0;
            if (top_->s_axil_rvalid) {
                int response = top_->s_axil_rresp;
                *value = top_->s_axil_rdata;
                top_->s_axil_rready = 0;
                cycle();
                return response ? -2 : 0;
            }
        }
        return -1;
    }

    // Runs until the interrupt or for `limit` cycles; returns the cycles run.
    uint64_t run(uint64_t limit) {
        uint64_t start = cycles_;
        while (cycles_ - start < limit && !top_->irq) cycle();
        return cycles_ - start;
    }

    Bytes bytes;
    std::deque<Port> ports;

    int open_waves(const char* path) {
#if WITH_WAVES
        waves_ = std::make_unique<VerilatedVcdC>();
        top_->trace(waves_.get(), 99);
        waves_->open(path);
        return waves_->isOpen() ? 0 : -1;
#else
        (void)path;
        return -1;
#endif
    }

#if WITH_TRACE
    Log logs[CHUNKS];
    bool tracing = false;
    Ledger ledger;
#endif

  private:
    static constexpr int kLimit = 10000;

    // From a cycle whose outputs are there to the next. Inputs are registered in the model (sim/top.py): they show what
    // this cycle sees until they are driven, and from there on what the next one will.
    void cycle() {
        for (Port& port : ports) port.transfer(cycles_);
#if WITH_TRACE
        if (tracing) record();
        if (ledger.watching) ledger.record(*top_);
#endif
        cycles_++;
        for (Port& port : ports) port.drive(cycles_);
        clock(1);
        clock(0);
    }

    // All clocks rise in one evaluation, so that each register sees what the others held before.
    void clock(int level) {
#if WITH_GATES
        top_->unit_clk = level ? top_->awake : 0;
#endif
        top_->clk = level;
        top_->eval();
#if WITH_WAVES
        if (waves_) waves_->dump(2 * cycles_ + !level);
#endif
    }

#if WITH_TRACE
    template <typename Record, typename Port>
    static void copy(Record& record, const Port& port) {
        std::memcpy(record.data, &port, sizeof(port));
    }

    void record() {
        if (top_->trace_am_en) {
            auto& list = logs[top_->trace_am_chunk].activation;
            list.push_back({uint32_t(top_->trace_am_address), uint32_t(top_->trace_am_mask), {}});
            copy(list.back(), top_->trace_am_data);
        }
        if (top_->trace_kv_en) {
            auto& list = logs[top_->trace_kv_chunk].cache;
            list.push_back({});
            copy(list.back(), top_->trace_kv_data);
        }
#define RECORD_CHUNK(CHUNK)                                                                                       \
    if (top_->trace_spm_##CHUNK##_en) {                                                                           \
        auto& list = logs[CHUNK].scratchpad;                                                                      \
        list.push_back({uint32_t(top_->trace_spm_##CHUNK##_address), uint32_t(top_->trace_spm_##CHUNK##_mask), {}}); \
        copy(list.back(), top_->trace_spm_##CHUNK##_data);                                                        \
    }
        RECORD_CHUNK(0);
#if CHUNKS > 1
        RECORD_CHUNK(1);
#endif
#define RECORD_QUEUE(NAME)                                                                                 \
    if (top_->trace_##NAME##_retired)                                                                      \
        retire(logs[top_->trace_##NAME##_retired_chunk], top_->trace_##NAME##_retired_index,               \
               top_->trace_##NAME##_retired_layer, top_->trace_##NAME##_retired_pass)
        RECORD_QUEUE(embedding);
        RECORD_QUEUE(vector);
        RECORD_QUEUE(engine);
        RECORD_QUEUE(store);
    }

    void retire(Log& log, uint32_t index, uint32_t layer, uint32_t pass) {
        log.retired.push_back({index, layer, pass, uint32_t(log.scratchpad.size()), uint32_t(log.activation.size()),
                               uint32_t(log.cache.size()), cycles_});
    }
#endif

    VerilatedContext context_;
    std::unique_ptr<Vtop> top_;
#if WITH_WAVES
    std::unique_ptr<VerilatedVcdC> waves_;
#endif
    uint64_t cycles_ = 0;
};

}  // namespace

extern "C" {
const char* celosia_dram_fields() { return kDramFields; }
const char* celosia_dram_counters() { return kDramCounters; }

void* celosia_create(uint64_t memory_bytes, const DramParameters* parameters) {
    try {
        return new Device(memory_bytes, *parameters);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void celosia_destroy(void* device) { delete static_cast<Device*>(device); }
uint8_t* celosia_memory(void* device) { return static_cast<Device*>(device)->bytes.data.data(); }
uint64_t celosia_cycles(void* device) { return static_cast<Device*>(device)->cycles(); }
int celosia_write(void* device, uint32_t offset, uint32_t value) {
    return static_cast<Device*>(device)->write(offset, value);
}
int celosia_read(void* device, uint32_t offset, uint32_t* value) {
    return static_cast<Device*>(device)->read(offset, value);
}
uint64_t celosia_run(void* device, uint64_t limit) { return static_cast<Device*>(device)->run(limit); }
void celosia_fail(void* device, uint64_t low, uint64_t high) {
    Bytes& bytes = static_cast<Device*>(device)->bytes;
    bytes.fail_low = low, bytes.fail_high = high;
}
void celosia_record(void* device, int enable) { static_cast<Device*>(device)->ports.front().timing.recording = enable; }
// The requests since the reset that were recorded, those of the first port: all ports have the same. Returns their number.
uint64_t celosia_requests(void* device, const void** data) {
    const auto& requests = static_cast<Device*>(device)->ports.front().timing.requests;
    *data = requests.data();
    return requests.size();
}
// Of all ports together.
void celosia_counters(void* device, DramCounters* counters) {
    *counters = {};
    for (const Port& port : static_cast<Device*>(device)->ports) *counters += port.timing.counters();
}
int celosia_open_waves(void* device, const char* path) { return static_cast<Device*>(device)->open_waves(path); }

#if WITH_TRACE
void celosia_watch(void* device, uint64_t first, uint64_t last) {
    static_cast<Device*>(device)->ledger.watch(first, last);
}
// The counts so far, and the intervals, of which it returns the number.
uint64_t celosia_ledger(void* device, const Counts** counts, const void** intervals) {
    Ledger& ledger = static_cast<Device*>(device)->ledger;
    ledger.close();
    *counts = &ledger.counts;
    *intervals = ledger.intervals.data();
    return ledger.intervals.size();
}
void celosia_trace(void* device, int enable) { static_cast<Device*>(device)->tracing = enable; }
void celosia_trace_clear(void* device) {
    auto* d = static_cast<Device*>(device);
    for (Log& log : d->logs) log.scratchpad.clear(), log.activation.clear(), log.cache.clear(), log.retired.clear();
}
// The list `which` (0 scratchpad, 1 activation, 2 cache, 3 retired) of a chunk: its records and their size; returns
// their number.
uint64_t celosia_trace_list(void* device, int chunk, int which, const void** data, uint32_t* record_bytes) {
    const Log* d = &static_cast<Device*>(device)->logs[chunk];
    auto give = [&](const auto& list) {
        *data = list.data();
        *record_bytes = sizeof(list[0]);
        return uint64_t(list.size());
    };
    switch (which) {
        case 0: return give(d->scratchpad);
        case 1: return give(d->activation);
        case 2: return give(d->cache);
        default: return give(d->retired);
    }
}
#endif
}
