host "hv1" {
  address = "127.0.0.1"
}
host "hv2" {
  address = "127.0.0.1"
}
host "hv3" {
  address = "127.0.0.1"
}
image_storage "main" {
  hosts = [host.hv1, host.hv2]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}
ocfs2_cluster "vms" {
  nodes     = [host.hv1, host.hv2]
  addresses = { hv1 = "10.99.0.11", hv2 = "10.99.0.12" }
}
ocfs2_volume "data" {
  storage     = image_storage.main
  cluster     = ocfs2_cluster.vms
  device      = "/dev/disk/by-id/wwn-0x5000c500000000a1"
  mount_point = "/srv/data"
  format      = true
}
image "web" {
  volume     = ocfs2_volume.data
  format     = "raw"
  size       = "64MiB"
  allocation = "falloc"
}
