host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

host "hv3" {
  address = "192.0.2.13"
}

image_storage "main" {
  hosts = [host.hv1, host.hv2, host.hv3]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}

external_volume "nfs" {
  storage     = image_storage.main
  mount_point = "/srv/nfs"
  nfs {
    server = "10.0.0.5"
    export = "/export/images"
  }
}
