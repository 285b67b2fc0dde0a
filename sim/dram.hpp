// The timing of a DRAM with open rows: when does an access end?
//
// Time is counted in memory clocks from the reset. A channel serves its accesses in the order in which they arrive: column
// commands and activations keep that order, but the row of a later access is opened as soon as its bank allows. All that
// follows from an access is therefore known when it arrives, and nothing has to be done per clock. docs/dram.md has the rules.

#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

// Python reads these names and fills the struct in their order. channels = 0 is the ideal memory.
#define DRAM_FIELDS(X)                                                                                          \
    X(channels) X(interleave_bytes) X(bank_groups) X(banks) X(row_bytes) X(access_bytes) X(access_clocks)       \
    X(banks_below_columns) X(cl) X(cwl) X(trcd) X(trp) X(tras) X(trc) X(tccd_s) X(tccd_l) X(trrd_s) X(trrd_l)   \
    X(tfaw) X(trtp) X(twr) X(twtr_s) X(twtr_l) X(turnaround) X(trefi) X(trfc) X(memory_khz) X(accelerator_khz)  \
    X(latency_cycles) X(read_queue) X(write_queue) X(bus_bytes)

// Sums over all channels since the reset; `data_clocks` and `refresh_clocks` in memory clocks.
#define DRAM_COUNTERS(X)                                                                                        \
    X(read_beats) X(write_beats) X(accesses) X(row_hits) X(row_misses) X(row_conflicts) X(turnarounds)          \
    X(refreshes) X(data_clocks) X(refresh_clocks)

#define DRAM_MEMBER(name) int64_t name = 0;
struct DramParameters {
    DRAM_FIELDS(DRAM_MEMBER)
};
#define DRAM_SUM(name) name += other.name;
struct DramCounters {
    DRAM_COUNTERS(DRAM_MEMBER)
    void operator+=(const DramCounters& other) { DRAM_COUNTERS(DRAM_SUM) }
};
#undef DRAM_MEMBER
#undef DRAM_SUM

#define DRAM_NAME(name) #name " "
inline constexpr const char* kDramFields = DRAM_FIELDS(DRAM_NAME);
inline constexpr const char* kDramCounters = DRAM_COUNTERS(DRAM_NAME);
#undef DRAM_NAME

class Channel {
  public:
    explicit Channel(const DramParameters& p)
        : p_(p), banks_(p.bank_groups * p.banks), groups_(p.bank_groups), next_refresh_(p.trefi) {}

    // The clock at which the last data of an access to (group, bank, row) has crossed the data bus.
    int64_t access(int64_t arrival, int64_t group, int64_t bank, int64_t row, bool write, DramCounters& counters) {
        Bank& target = banks_[group * p_.banks + bank];
        int64_t activate, column;
        while ((column = plan(arrival, target, groups_[group], row, write, activate)) >= next_refresh_)
            refresh(counters);
        counters.accesses++;
        counters.data_clocks += p_.access_clocks;
        if (target.row == row)
            counters.row_hits++;
        else
            open(target, groups_[group], row, activate, counters);
        return transfer(target, groups_[group], column, write, counters);
    }

  private:
    static constexpr int64_t kLongAgo = -1000000;

    struct Bank {
        int64_t row = -1;  // -1: closed
        int64_t precharge_from = kLongAgo, activate_from = kLongAgo;
    };
    // The last commands, in a bank group or in all of them.
    struct Last {
        int64_t activate = kLongAgo, read = kLongAgo, write = kLongAgo;
    };

    // The earliest column command of an access, and the activation before it where its row is not open.
    int64_t plan(int64_t arrival, const Bank& bank, const Last& group, int64_t row, bool write, int64_t& activate) const {
        int64_t column = arrival;  // of an open row: behind the column command that it was opened for
        if (bank.row != row) {
            activate = std::max({arrival, bank.activate_from, last_.activate + p_.trrd_s, group.activate + p_.trrd_l,
                                 window_[oldest_] + p_.tfaw});
            if (bank.row >= 0) activate = std::max(activate, std::max(arrival, bank.precharge_from) + p_.trp);
            column = activate + p_.trcd;
        }
        column = std::max(column, std::max(last_.read, last_.write) + p_.tccd_s);
        if (write)
            return std::max({column, group.write + p_.tccd_l,
                             last_.read + p_.cl + p_.access_clocks + p_.turnaround - p_.cwl});
        int64_t written = p_.cwl + p_.access_clocks;
        return std::max({column, group.read + p_.tccd_l, last_.write + written + p_.twtr_s,
                         group.write + written + p_.twtr_l});
    }

    void open(Bank& bank, Last& group, int64_t row, int64_t activate, DramCounters& counters) {
        bank.row < 0 ? counters.row_misses++ : counters.row_conflicts++;
        bank.row = row;
        bank.precharge_from = activate + p_.tras;
        bank.activate_from = activate + p_.trc;
        last_.activate = group.activate = activate;
        window_[oldest_] = activate;
        oldest_ = (oldest_ + 1) % window_.size();
    }

    int64_t transfer(Bank& bank, Last& group, int64_t column, bool write, DramCounters& counters) {
        if (write != wrote_) counters.turnarounds++;
        wrote_ = write;
        int64_t end = column + (write ? p_.cwl : p_.cl) + p_.access_clocks;
        if (write)
            last_.write = group.write = column;
        else
            last_.read = group.read = column;
        bank.precharge_from = std::max(bank.precharge_from, write ? end + p_.twr : column + p_.trtp);
        return end;
    }

    // All banks close at the end of the interval, and open again tRFC after the last of them may.
    void refresh(DramCounters& counters) {
        int64_t start = next_refresh_;
        for (const Bank& bank : banks_) {
            start = std::max(start, bank.activate_from);
            if (bank.row >= 0) start = std::max(start, std::max(bank.precharge_from, next_refresh_) + p_.trp);
        }
        for (Bank& bank : banks_) {
            bank = Bank();
            bank.activate_from = start + p_.trfc;
        }
        counters.refreshes++;
        counters.refresh_clocks += start + p_.trfc - next_refresh_;
        next_refresh_ += p_.trefi;
    }

    DramParameters p_;
    std::vector<Bank> banks_;
    std::vector<Last> groups_;
    Last last_;
    std::array<int64_t, 4> window_ = {kLongAgo, kLongAgo, kLongAgo, kLongAgo};  // the last four activations
    unsigned oldest_ = 0;
    int64_t next_refresh_;
    bool wrote_ = false;
};

// All channels, and which part of them an address means.
class Dram {
  public:
    explicit Dram(const DramParameters& p) : p_(p), channels_(p.channels, Channel(p)) {}

    // The clock at which the access that holds byte `address` has crossed the data bus.
    int64_t access(int64_t arrival, int64_t address, bool write, DramCounters& counters) {
        int64_t stripe = address / p_.interleave_bytes;
        int64_t local = stripe / p_.channels * p_.interleave_bytes + address % p_.interleave_bytes;
        int64_t rest = local / p_.access_bytes;
        int64_t columns = p_.row_bytes / p_.access_bytes;
        int64_t group = rest % p_.bank_groups;
        rest /= p_.bank_groups;
        if (!p_.banks_below_columns) rest /= columns;
        int64_t bank = rest % p_.banks;
        rest /= p_.banks;
        if (p_.banks_below_columns) rest /= columns;
        return channels_[stripe % p_.channels].access(arrival, group, bank, rest, write, counters);
    }

  private:
    DramParameters p_;
    std::vector<Channel> channels_;
};
