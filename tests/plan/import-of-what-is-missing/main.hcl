host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

image_storage "main" {
  hosts = [host.hv1, host.hv2]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}

external_volume "disk" {
  storage     = image_storage.main
  mount_point = "/srv/disk"
  tmpfs {
    size = "64MiB"
  }
}

external_volume "ram" {
  storage     = image_storage.main
  mount_point = "/srv/ram"
  tmpfs {
    size = "64MiB"
  }
}

import {
  to = external_volume.disk
}

import {
  to = external_volume.ram
}
