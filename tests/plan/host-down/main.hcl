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

image_storage "single" {
  hosts = [host.hv1]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}

external_volume "ram" {
  storage     = image_storage.main
  mount_point = "/srv/ram"
  tmpfs {
    size = "64MiB"
  }
}

external_volume "ssd" {
  storage     = image_storage.single
  mount_point = "/srv/ssd"
  device {
    path   = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"
    fstype = "xfs"
    format = true
  }
}

image "web" {
  volume = external_volume.ssd
  format = "raw"
  size   = "1MiB"
}
