// A queue in one allocation, and in none while it never had an entry. A task has seven of them, mostly empty,
// and every tick walks them. A std::deque takes half a kilobyte for each, and allocates again every few
// entries.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace sluice {

template <class T>
class Ring {
  template <class Of, class Element>
  struct Iterator {
    Of* ring;
    std::size_t i;
    Element& operator*() const { return (*ring)[i]; }
    Iterator& operator++() {
      ++i;
      return *this;
    }
    bool operator==(const Iterator&) const = default;
  };

 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  bool full() const { return size_ == slots_.size(); }  // the next push_back allocates
  T& operator[](std::size_t i) { return slots_[at(i)]; }
  const T& operator[](std::size_t i) const { return slots_[at(i)]; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void push_back(const T& value) {
    if (full()) grow();
    slots_[at(size_++)] = value;
  }
  void pop_front() {
    first_ = at(1);
    --size_;
  }
  void pop_back() { --size_; }
  void clear() { first_ = size_ = 0; }

  auto begin() { return Iterator<Ring, T>{this, 0}; }
  auto end() { return Iterator<Ring, T>{this, size_}; }
  auto begin() const { return Iterator<const Ring, const T>{this, 0}; }
  auto end() const { return Iterator<const Ring, const T>{this, size_}; }

 private:
  // the capacity is a power of two
  std::size_t at(std::size_t i) const { return (first_ + i) & (slots_.size() - 1); }
  void grow() {
    constexpr std::size_t kFirst = 4;
    std::vector<T> larger(slots_.empty() ? kFirst : 2 * slots_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
    slots_ = std::move(larger);
    first_ = 0;
  }

  std::vector<T> slots_;
  std::size_t first_ = 0, size_ = 0;
};

}  // namespace sluice
