// A testbench of somebody who has only what `celosia generate` and `celosia compile` wrote, and docs/integration.md.
//
//   testbench GENERATED COMPILED "TOKEN TOKEN ..." STEPS
//
// It loads the image, feeds the tokens as a prompt, lets the accelerator sample STEPS tokens and prints them. Then it
// provokes two errors, and runs the same job again to see that the machine recovers. Numbers in brackets are sections
// of the page. The memory is slow at random, full of poison, and complains about every burst that the page rules out.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "Vcelosia.h"
#include "celosia.h"  // register offsets, from the folder of `celosia generate`
#include "verilated.h"

#define REGISTER(name) offsetof(celosia_t, name)

[[noreturn]] static void fail(const std::string& why) {
    std::fprintf(stderr, "testbench: %s\n", why.c_str());
    std::exit(1);
}

static std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The number of the first `key` behind the first `anchor`: all the JSON that this needs.
static uint64_t number(const std::string& json, const std::string& anchor, const std::string& key) {
    size_t at = json.find(anchor);
    if (at != std::string::npos) at = json.find("\"" + key + "\":", at);
    if (at == std::string::npos) fail("no " + key + " in the manifest");
    return std::strtoull(json.c_str() + at + key.size() + 3, nullptr, 10);
}

// [2] What stands behind the AXI4 port: in order per id, random delays, 0xA5 wherever nobody wrote.
class Memory {
  public:
    static constexpr uint32_t kBeat = sizeof(Vcelosia::m_axi_rdata);

    explicit Memory(uint64_t bytes) : bytes_(bytes, 0xA5) {}
    void load(uint64_t address, const std::string& data) { std::copy(data.begin(), data.end(), &bytes_.at(address)); }
    // Bursts that touch this address are answered with SLVERR; ~0: none is.
    void break_at(uint64_t address) { broken_ = address; }

    // Before the edge: what the memory drives in this cycle. VALID stays until the transfer.
    void drive(Vcelosia& top) {
        top.m_axi_arready = chance(70) && reads_.size() < 16;
        top.m_axi_awready = chance(70) && writes_.size() < 16;
        top.m_axi_wready = chance(70) && !writes_.empty();
        if (!top.m_axi_bvalid && !responses_.empty() && chance(30)) {
            top.m_axi_bvalid = 1;
            top.m_axi_bid = responses_.front().id;
            top.m_axi_bresp = responses_.front().failed ? 2 : 0;
        }
        if (!top.m_axi_rvalid && !reads_.empty() && chance(90)) {
            const Burst& burst = reads_.front();
            top.m_axi_rvalid = 1;
            top.m_axi_rid = burst.id;
            top.m_axi_rlast = burst.beats == 1;
            top.m_axi_rresp = burst.failed ? 2 : 0;
            std::memcpy(&top.m_axi_rdata, &bytes_[burst.address], kBeat);
        }
    }

    // At the edge: which transfers happened. Returns what is to be withdrawn after it.
    struct Taken {
        bool read, response;
    };
    Taken edge(const Vcelosia& top) {
        Taken taken{top.m_axi_rvalid && top.m_axi_rready, top.m_axi_bvalid && top.m_axi_bready};
        if (taken.response) responses_.pop_front();
        if (taken.read && !step(reads_.front())) reads_.pop_front();
        if (top.m_axi_wvalid && top.m_axi_wready) store(top);
        if (top.m_axi_arvalid && top.m_axi_arready)
            reads_.push_back(burst(top.m_axi_araddr, top.m_axi_arlen, top.m_axi_arsize, top.m_axi_arburst, top.m_axi_arid));
        if (top.m_axi_awvalid && top.m_axi_awready)
            writes_.push_back(burst(top.m_axi_awaddr, top.m_axi_awlen, top.m_axi_awsize, top.m_axi_awburst, top.m_axi_awid));
        return taken;
    }

  private:
    struct Burst {
        uint64_t address;
        uint32_t beats, id;
        bool failed;
    };

    Burst burst(uint64_t address, uint32_t len, uint32_t size, uint32_t type, uint32_t id) {
        uint64_t length = uint64_t(len + 1) * kBeat;
        if (1u << size != kBeat || type != 1 || address % kBeat) fail("a burst that is not INCR of whole aligned beats");
        if (address % 4096 + length > 4096) fail("a burst that crosses 4 KiB");
        if (address + length > bytes_.size()) fail("a burst outside image and cache");
        return {address, len + 1, id, broken_ >= address && broken_ < address + length};
    }

    void store(const Vcelosia& top) {
        Burst& burst = writes_.front();
        if (top.m_axi_wlast != (burst.beats == 1)) fail("WLAST is not on the last beat");
        const auto* data = reinterpret_cast<const uint8_t*>(&top.m_axi_wdata);
        for (uint32_t i = 0; i < kBeat; i++)
            if (uint64_t(top.m_axi_wstrb) >> i & 1) bytes_[burst.address + i] = data[i];
        if (step(burst)) return;
        responses_.push_back(burst);
        writes_.pop_front();
    }

    static bool step(Burst& burst) { return burst.address += kBeat, --burst.beats; }

    bool chance(uint32_t percent) {
        random_ = random_ * 6364136223846793005u + 1442695040888963407u;
        return (random_ >> 33) % 100 < percent;
    }

    std::vector<uint8_t> bytes_;
    std::deque<Burst> reads_, writes_, responses_;
    uint64_t broken_ = ~0ull, random_ = 1;
};

class Accelerator {
  public:
    Memory memory;

    explicit Accelerator(uint64_t memory_bytes) : memory(memory_bytes) {
        top_.rst = 1;  // [1] synchronous, active high, every input driven
        for (int i = 0; i < 4; i++) cycle();
        top_.rst = 0;
    }
    ~Accelerator() { top_.final(); }

    // [3] AXI4-Lite: one access at a time, whole words.
    void write(uint32_t offset, uint32_t value) {
        top_.s_axil_awaddr = offset;
        top_.s_axil_wdata = value;
        top_.s_axil_wstrb = 15;
        top_.s_axil_awvalid = top_.s_axil_wvalid = top_.s_axil_bready = 1;
        until([&] { return top_.s_axil_awready && top_.s_axil_wready; }, "AWREADY and WREADY", 100);
        top_.s_axil_awvalid = top_.s_axil_wvalid = 0;
        until([&] { return top_.s_axil_bvalid; }, "BVALID", 100);
        if (top_.s_axil_bresp) fail("a register write was refused");
        top_.s_axil_bready = 0;
    }

    uint32_t read(uint32_t offset) {
        uint32_t value = 0;
        top_.s_axil_araddr = offset;
        top_.s_axil_arvalid = top_.s_axil_rready = 1;
        until([&] { return top_.s_axil_arready; }, "ARREADY", 100);
        top_.s_axil_arvalid = 0;
        until([&] { return value = top_.s_axil_rdata, top_.s_axil_rvalid; }, "RVALID", 100);
        top_.s_axil_rready = 0;
        return value;
    }

    uint64_t read_pair(uint32_t low) { return uint64_t(read(low + 4)) << 32 | read(low); }
    void write_pair(uint32_t low, uint64_t value) { write(low, uint32_t(value)), write(low + 4, uint32_t(value >> 32)); }
    void wait_interrupt() { until([&] { return top_.irq; }, "the interrupt", 20'000'000); }

  private:
    // Runs the clock until a cycle in which the condition holds, that cycle included.
    template <typename Condition>
    void until(Condition condition, const char* what, uint64_t limit) {
        for (uint64_t i = 0; i < limit; i++)
            if (cycle(condition)) return;
        fail(std::string("no ") + what);
    }

    void cycle() {
        cycle([] { return false; });
    }

    template <typename Condition>
    bool cycle(Condition condition) {
        memory.drive(top_);
        top_.eval();  // outputs that depend on this cycle's inputs
        bool holds = condition();
        Memory::Taken taken = memory.edge(top_);
        top_.clk = 1;
        top_.eval();
        if (taken.read) top_.m_axi_rvalid = 0;
        if (taken.response) top_.m_axi_bvalid = 0;
        top_.clk = 0;
        top_.eval();
        return holds;
    }

    Vcelosia top_;
};

// [6] and [7]: one job from doorbell to interrupt; returns the error byte of STATUS.
static uint32_t run(Accelerator& device, const std::vector<uint32_t>& prompt, uint32_t steps) {
    device.write(REGISTER(TOKEN_INDEX), 0);
    for (uint32_t token : prompt) device.write(REGISTER(TOKEN_DATA), token);
    device.write(REGISTER(SEQUENCE), 0);
    device.write(REGISTER(POSITION), 0);
    device.write(REGISTER(COUNT), uint32_t(prompt.size()));
    device.write(REGISTER(STEPS), steps);
    device.write(REGISTER(END_OF_TEXT), 0);
    device.write(REGISTER(INTERRUPT_STATUS), 3);
    device.write(REGISTER(INTERRUPT_ENABLE), 1);
    device.write(REGISTER(CONTROL), 1);
    device.wait_interrupt();
    device.write(REGISTER(INTERRUPT_STATUS), 3);
    uint32_t status = device.read(REGISTER(STATUS));
    if ((status & 3) != 2) fail("the interrupt came, but the job is not done");
    return status >> 8 & 0xFF;
}

// [8]
static void print_results(Accelerator& device, size_t prompt, unsigned candidates) {
    uint32_t sampled = device.read(REGISTER(SAMPLED));
    device.write(REGISTER(TOKEN_INDEX), uint32_t(prompt));
    std::string tokens, stamps;
    for (uint32_t i = 0; i < sampled; i++) {
        stamps += " " + std::to_string(device.read(REGISTER(TOKEN_CYCLE)));  // first: TOKEN_DATA advances the index
        tokens += " " + std::to_string(device.read(REGISTER(TOKEN_DATA)));
    }
    std::printf("tokens%s\ntoken_cycles%s\ncandidates", tokens.c_str(), stamps.c_str());
    for (unsigned i = 0; i < candidates; i++) {
        device.write(REGISTER(CANDIDATE_INDEX), i);
        uint32_t bits = device.read(REGISTER(CANDIDATE_VALUE));
        float logit;
        std::memcpy(&logit, &bits, sizeof logit);
        std::printf(" %u:%.9g", device.read(REGISTER(CANDIDATE_ID)), double(logit));
    }
    std::printf("\ncycles %llu\nstream_bytes %llu\n", (unsigned long long)device.read_pair(REGISTER(CYCLES_LO)),
                (unsigned long long)device.read_pair(REGISTER(STREAM_BYTES_LO)));
}

int main(int argc, char** argv) {
    if (argc != 5) fail("usage: testbench GENERATED COMPILED \"TOKEN TOKEN ...\" STEPS");
    std::string generated = read_file(std::string(argv[1]) + "/manifest.json");
    std::string compiled = read_file(std::string(argv[2]) + "/manifest.json");
    std::istringstream words(argv[3]);
    std::vector<uint32_t> prompt{std::istream_iterator<uint32_t>(words), {}};
    uint32_t steps = uint32_t(std::atoi(argv[4]));

    // [4] Memory map: the image at 1 MiB, the cache where the manifest says.
    const uint64_t base = 1 << 20;
    uint64_t cache = base + number(compiled, "\"memory\":", "kv_offset");
    uint64_t program = base + number(compiled, "\"name\": \"program\"", "offset");
    uint64_t instructions = number(compiled, "\"name\": \"program\"", "bytes") / 32;
    Accelerator device(base + number(compiled, "\"memory\":", "total_bytes"));
    device.memory.load(base, read_file(std::string(argv[2]) + "/image.bin"));

    if (device.read(REGISTER(ID)) != 0x43454C4F) fail("ID does not read CELO");
    device.write_pair(REGISTER(IMAGE_BASE_LO), base);
    device.write_pair(REGISTER(KV_BASE_LO), cache);
    device.write_pair(REGISTER(PROGRAM_BASE_LO), program);
    device.write(REGISTER(PROGRAM_LENGTH), uint32_t(instructions));

    // [5] Sequence 0 gets pages for every position of the job; any order of pages will do.
    uint32_t positions = uint32_t(prompt.size()) + steps - 1;
    uint32_t pages = uint32_t(number(generated, "\"cache\":", "pages"));
    device.write(REGISTER(TABLE_ENTRY), 0);
    device.write(REGISTER(TABLE_SEQUENCE), 1);
    for (uint32_t i = 0; i * 32 < positions; i++) {
        device.write(REGISTER(TABLE_ENTRY), i);
        device.write(REGISTER(TABLE_PAGE), pages - 1 - i);
    }

    unsigned candidates = unsigned(number(generated, "\"control\":", "top_k"));
    if (uint32_t error = run(device, prompt, steps)) fail("the job ended with error " + std::to_string(error));
    print_results(device, prompt.size(), candidates);

    // [9] A bus error, a token that the vocabulary does not have; then the job again, without any reset.
    device.memory.break_at(base + number(compiled, "\"name\": \"final_norm\"", "offset"));
    uint32_t error = run(device, prompt, steps);
    std::printf("bus_error %u at %llu\n", error, (unsigned long long)(device.read_pair(REGISTER(ERROR_ADDRESS_LO)) - base));
    device.memory.break_at(~0ull);
    error = run(device, {0x7FFFFFFF}, 1);
    std::printf("token_error %u at %llu\n", error, (unsigned long long)device.read_pair(REGISTER(ERROR_ADDRESS_LO)));
    if (run(device, prompt, steps)) fail("the machine did not recover");
    print_results(device, prompt.size(), candidates);
}
