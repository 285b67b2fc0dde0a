
if {[llength $argv] > 1 || ([llength $argv] == 1 && [lindex $argv 0] ne "design")} {
    error "one argument at most, `design`: end when the block design is made"
}
set here [file dirname [file normalize [info script]]]
set out [file join $here vivado]
set ip [file join $out ip]
file mkdir $ip

create_project -force $project [file join $out project] -part $part
set found [get_board_parts -quiet -latest_file_version $board_files]
if {[llength $found] == 0} {
    error "Vivado has no board files $board_files: install those of this board (Vivado Store, or XHUB)"
}
set_property board_part [lindex $found end] [current_project]

# Its clock is what the design gives it, which is never quite the frequency that was asked for: with a frequency of its
# own Vivado would not connect it.
package_ip [file join $here accelerator] $verilog $component $ip $vlnv $clock

# A cell of the newest version of one of Xilinx' IPs, with properties.
proc cell {name kind {properties {}}} {
    set found [lsort -dictionary [get_ipdefs -all "xilinx.com:ip:$kind:*"]]
    if {[llength $found] == 0} {
        error "this Vivado has no IP $kind"
    }
    set made [create_bd_cell -type ip -vlnv [lindex $found end] $name]
    if {[llength $properties]} {
        set_property -dict $properties $made
    }
    return $made
}

# One interface to another, pins of cells.
proc join_interfaces {one other} {
    connect_bd_intf_net [get_bd_intf_pins $one] [get_bd_intf_pins $other]
}

# A pin to all others, pins of cells.
proc join_pins {source args} {
    foreach pin $args {
        connect_bd_net [get_bd_pins $source] [get_bd_pins $pin]
    }
}

# The segment of a slave in a master's address space, and all its others out of it.
proc place {space segment address bytes} {
    assign_bd_address -offset $address -range $bytes -target_address_space [get_bd_addr_spaces $space] \
        [get_bd_addr_segs $segment] -force
}
proc leave_out {space segment} {
    set found [get_bd_addr_segs -quiet $segment]
    if {[llength $found]} {
        exclude_bd_addr_seg $found -target_address_space [get_bd_addr_spaces $space]
    }
}

create_bd_design system
create_bd_cell -type ip -vlnv $vlnv celosia
