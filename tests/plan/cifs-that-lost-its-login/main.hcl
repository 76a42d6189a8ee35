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

external_volume "smb" {
  storage     = image_storage.main
  mount_point = "/srv/smb"
  cifs {
    server   = "10.0.0.5"
    share    = "images"
    username = "vmstore"
    password = "not-a-real-one"
  }
}
