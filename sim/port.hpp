// One AXI4 master of the accelerator, and the memory behind it: the timing is the port's own, the bytes are everybody's.
//
// Of every beat of the bus a port has a part of PORT_BYTES bytes (hdl/stripe.py): at its address `a` is byte
// (a - base) x PORTS + index x PORT_BYTES of the memory.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "Vtop.h"
#include "memory.hpp"
#include "ports.h"  // PORT_BYTES, PORTS, PORT_ADDRESS_BITS, EACH_MASTER, FIRST_MASTER: written by the build

// The bytes of the memory, and which of them answer with an error.
struct Bytes {
    std::vector<uint8_t> data;
    uint64_t fail_low = 0, fail_high = 0;
};

#define EACH_PIN(DO, MASTER)                                                                                       \
    DO(MASTER, arvalid) DO(MASTER, arready) DO(MASTER, araddr) DO(MASTER, arlen) DO(MASTER, arid)                  \
    DO(MASTER, rvalid) DO(MASTER, rready) DO(MASTER, rdata) DO(MASTER, rid) DO(MASTER, rlast) DO(MASTER, rresp)    \
    DO(MASTER, awvalid) DO(MASTER, awready) DO(MASTER, awaddr) DO(MASTER, awlen) DO(MASTER, awid)                  \
    DO(MASTER, wvalid) DO(MASTER, wready) DO(MASTER, wdata) DO(MASTER, wstrb)                                      \
    DO(MASTER, bvalid) DO(MASTER, bready) DO(MASTER, bid) DO(MASTER, bresp)

#define NAME_(MASTER, PIN) MASTER##_##PIN
#define NAME(MASTER, PIN) NAME_(MASTER, PIN)

// Verilator's own references to the pins of a port.
struct Pins {
#define DECLARE(MASTER, PIN) std::remove_reference_t<decltype(Vtop::NAME(MASTER, PIN))>& PIN;
    EACH_PIN(DECLARE, FIRST_MASTER)
#undef DECLARE
};

class Port {
  public:
    Port(const Pins& pins, int index, const DramParameters& parameters, Bytes& bytes)
        : timing(parameters), pins_(pins), bytes_(bytes), index_(index),
          base_(PORTS > 1 ? uint64_t(index) << PORT_ADDRESS_BITS : 0) {}

    Memory timing;

    // What the cycle `now` transfers, by its outputs.
    void transfer(uint64_t now) {
        bool ar = pins_.arvalid && pins_.arready;
        bool r = pins_.rvalid && pins_.rready;
        bool aw = pins_.awvalid && pins_.awready;
        bool w = pins_.wvalid && pins_.wready;
        bool b = pins_.bvalid && pins_.bready;
        if (ar) timing.read(now, get(pins_.araddr), uint32_t(pins_.arlen) + 1, uint32_t(pins_.arid));
        if (aw) timing.write(now, get(pins_.awaddr), uint32_t(pins_.awlen) + 1, uint32_t(pins_.awid));
        if (w) timing.take_data(now, absorb(place(timing.writing().address)));
        if (b) timing.take_response();
        if (r) timing.take_beat();
    }

    // The inputs of the cycle `now`.
    void drive(uint64_t now) {
        pins_.arready = timing.takes_read();
        pins_.awready = timing.takes_write();
        pins_.wready = timing.takes_data();
        const Memory::Burst* response = timing.response(now);
        pins_.bvalid = response != nullptr;
        if (response) {
            pins_.bid = response->id;
            pins_.bresp = response->error;
        }
        const Memory::Burst* burst = timing.beat(now);
        pins_.rvalid = burst != nullptr;
        if (!burst) return;
        uint64_t at = place(burst->address);
        pins_.rid = burst->id;
        pins_.rlast = burst->beats == 1;
        pins_.rresp = error(at);
        if (inside(at))
            std::memcpy(&pins_.rdata, &bytes_.data[at], PORT_BYTES);
        else
            std::memset(&pins_.rdata, 0xA5, PORT_BYTES);
    }

  private:
    template <typename Pin>
    static uint64_t get(const Pin& pin) {
        uint64_t value = 0;
        std::memcpy(&value, &pin, sizeof(pin) < sizeof(value) ? sizeof(pin) : sizeof(value));
        return value;
    }

    // Where a port's address is in the memory; outside of it, where it is not in the port's own region.
    uint64_t place(uint64_t address) const {
        uint64_t own = address - base_;
        if (PORTS > 1 && own >> PORT_ADDRESS_BITS) return ~uint64_t(0) - PORT_BYTES;
        return own * PORTS + uint64_t(index_) * PORT_BYTES;
    }

    bool inside(uint64_t at) const { return at + PORT_BYTES <= bytes_.data.size(); }

    // The response to a beat, as AXI codes it: OKAY, SLVERR or DECERR.
    uint32_t error(uint64_t at) const {
        if (!inside(at)) return 3;
        return at < bytes_.fail_high && at + PORT_BYTES > bytes_.fail_low ? 2 : 0;
    }

    // Writes the beat on the W channel; returns its response.
    uint32_t absorb(uint64_t at) {
        if (error(at)) return error(at);
        uint8_t data[PORT_BYTES], strobes[PORT_BYTES / 8];  // both little endian in Verilator's words
        std::memcpy(data, &pins_.wdata, PORT_BYTES);
        std::memcpy(strobes, &pins_.wstrb, PORT_BYTES / 8);
        for (int i = 0; i < PORT_BYTES; i++)
            if (strobes[i / 8] >> i % 8 & 1) bytes_.data[at + i] = data[i];
        return 0;
    }

    Pins pins_;
    Bytes& bytes_;
    int index_;
    uint64_t base_;
};
